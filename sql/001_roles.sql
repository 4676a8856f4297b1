-- Who may do what. Roles belong to the whole server, so each is made only when it is not there yet.
--   invoicegate_owner    owns schemas, tables and functions; nobody logs in as it
--   invoicegate_worker   executes the worker's functions and can do nothing else
--   invoicegate_auditor  reads the views of schema audit and nothing else

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'invoicegate_owner') then
        create role invoicegate_owner nologin;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'invoicegate_worker') then
        create role invoicegate_worker login;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'invoicegate_auditor') then
        create role invoicegate_auditor login;
    end if;
end
$$;

-- The migrating role must be able to hand objects over to the owner.
do $$
begin
    if not pg_has_role(current_user, 'invoicegate_owner', 'member') then
        execute format('grant invoicegate_owner to %I', current_user);
    end if;
end
$$;

create schema if not exists gateway authorization invoicegate_owner;
create schema if not exists audit authorization invoicegate_owner;
revoke all on schema gateway, audit from public;
grant usage on schema gateway to invoicegate_worker;
grant usage on schema audit to invoicegate_auditor;
alter default privileges for role invoicegate_owner revoke execute on functions from public;
