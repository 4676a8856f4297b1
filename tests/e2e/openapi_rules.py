"""The rules of OpenAPI 3.1 for what a document may be made of, as a JSON Schema; stricter than the specification: what
src/front/openapi.json does not use is not allowed, and what a reader needs is required. Schema objects are checked apart."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string", "minLength": 1}
ANYTHING: dict[str, Any] = {}
SCHEMA = {"type": "object"}
REFERENCE = {"type": "object", "required": ["$ref"], "additionalProperties": False, "properties": {"$ref": {"type": "string", "pattern": "^#/components/\\w+/[\\w-]+$"}}}


def fixed(needed: str, /, **members: Any) -> dict[str, Any]:
    """An object with these members, extensions aside."""
    return {
        "type": "object",
        "required": needed.split(),
        "properties": members,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
    }


def by_name(schema: dict[str, Any], pattern: str = "^[A-Za-z0-9._-]+$", least: int = 0) -> dict[str, Any]:
    return {"type": "object", "propertyNames": {"pattern": pattern}, "additionalProperties": schema, "minProperties": least}


def or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"type": "object", "required": ["$ref"]}, "then": REFERENCE, "else": schema}


EXAMPLE = fixed("value", summary=TEXT, description=TEXT, value=ANYTHING)
STYLE = {"enum": ["form", "simple", "deepObject", "spaceDelimited", "pipeDelimited"]}
ENCODING = fixed("", contentType=TEXT, style=STYLE, explode={"type": "boolean"})
MEDIA = fixed("schema", schema=SCHEMA, example=ANYTHING, examples=by_name(EXAMPLE), encoding=by_name(ENCODING)) | {
    "not": {"required": ["example", "examples"]}
}
CONTENT = by_name(MEDIA, "^[a-z]+/[a-z0-9.+-]+$", 1)
HEADER = fixed("description schema", description=TEXT, required={"type": "boolean"}, schema=SCHEMA, example=ANYTHING)
RESPONSE = fixed("description headers content", description=TEXT, headers=by_name(or_reference(HEADER)), content=CONTENT)
RESPONSES = by_name(or_reference(RESPONSE), "^[1-5][0-9]{2}$", 1)
PARAMETER = fixed(
    "name in description schema",
    **{"in": {"enum": ["path", "query", "header"]}, "name": TEXT, "description": TEXT, "required": {"type": "boolean"}},
    **{"schema": SCHEMA, "example": ANYTHING, "style": STYLE, "explode": {"type": "boolean"}},
) | {
    "allOf": [
        {"if": {"properties": {"in": {"const": "path"}}}, "then": {"required": ["required"], "properties": {"required": {"const": True}}}},
        # The specification wants these three ignored where they are parameters.
        {"if": {"properties": {"in": {"const": "header"}}}, "then": {"properties": {"name": {"not": {"enum": ["Accept", "Content-Type", "Authorization"]}}}}},
    ]
}
PARAMETERS = {"type": "array", "items": or_reference(PARAMETER), "uniqueItems": True}
REQUEST_BODY = fixed("content", description=TEXT, required={"type": "boolean"}, content=CONTENT)
OPERATION = fixed(
    "operationId tags summary security responses",
    operationId={"type": "string", "pattern": "^[a-z][A-Za-z]+$"},
    tags={"type": "array", "items": TEXT, "minItems": 1},
    summary=TEXT,
    description=TEXT,
    security={"type": "array", "items": by_name({"type": "array", "items": TEXT})},
    parameters=PARAMETERS,
    requestBody=or_reference(REQUEST_BODY),
    responses=RESPONSES,
)
PATH_ITEM = fixed("x-other-methods", summary=TEXT, parameters=PARAMETERS, get=OPERATION, post=OPERATION) | {
    "patternProperties": {"^x-other-methods$": RESPONSES}
}
SECURITY_SCHEME = {
    "oneOf": [
        fixed("type scheme", type={"const": "http"}, scheme={"enum": ["basic", "bearer"]}, description=TEXT),
        fixed("type in name", type={"const": "apiKey"}, **{"in": {"const": "header"}}, name=TEXT, description=TEXT),
    ]
}
COMPONENTS = fixed(
    "",
    schemas=by_name(SCHEMA),
    responses=by_name(RESPONSE),
    parameters=by_name(PARAMETER),
    headers=by_name(HEADER),
    securitySchemes=by_name(SECURITY_SCHEME),
)
DOCUMENT = fixed(
    "openapi info servers tags paths components",
    openapi={"const": "3.1.0"},
    info=fixed("title version", title=TEXT, version=TEXT, summary=TEXT, description=TEXT, license=fixed("name", name=TEXT, identifier=TEXT)),
    servers={"type": "array", "items": fixed("url", url=TEXT, description=TEXT)},
    tags={"type": "array", "items": fixed("name", name=TEXT, description=TEXT), "uniqueItems": True},
    paths=by_name(PATH_ITEM, "^/", 1),
    components=COMPONENTS,
)
