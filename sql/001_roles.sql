-- Who may do what. Roles belong to the whole server, so each is made only when it is not there yet.
--   invoicegate_owner        owns schemas, tables and functions; nobody logs in as it
--   invoicegate_worker       executes the worker's functions and can do nothing else
--   invoicegate_auditor      reads the views of schema audit, all agencies, and nothing else
--   invoicegate_dashboard    what the dashboard logins of agencies have in common: the same views, their own agency's rows
--   invoicegate_reader       owns those views; row-level security holds for it and so for whoever looks through them
--   invoicegate_maintenance  the only one that may change or remove history, whose acts are history, too

do $$
declare
    v_role text;
begin
    foreach v_role in array array['owner', 'worker', 'auditor', 'dashboard', 'reader', 'maintenance'] loop
        continue when exists (select from pg_catalog.pg_roles where rolname = 'invoicegate_' || v_role);
        execute format('create role %I %s', 'invoicegate_' || v_role,
                       case when v_role in ('worker', 'auditor') then 'login' else 'nologin' end);
    end loop;
    -- The owner's side reads the views as auditors do: invoicegatectl looks through them.
    grant invoicegate_auditor to invoicegate_owner;
end
$$;

-- The migrating role must be able to hand objects over.
do $$
begin
    if not pg_has_role(current_user, 'invoicegate_owner', 'member') then
        execute format('grant invoicegate_owner to %I', current_user);
    end if;
    if not pg_has_role(current_user, 'invoicegate_reader', 'member') then
        execute format('grant invoicegate_reader to %I', current_user);
    end if;
end
$$;

create schema if not exists gateway authorization invoicegate_owner;
create schema if not exists audit authorization invoicegate_owner;
revoke all on schema gateway, audit from public;
grant usage on schema gateway to invoicegate_worker, invoicegate_reader, invoicegate_maintenance;
grant usage on schema audit to invoicegate_auditor, invoicegate_dashboard;
grant usage, create on schema audit to invoicegate_reader;
alter default privileges for role invoicegate_owner revoke execute on functions from public;

-- Nobody but the owner's side needs temporary objects, which are the tools of many a break-out.
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to invoicegate_owner', current_database());
end
$$;
