-- Closes doors that PostgreSQL leaves open to every role, which logins of dashboards could walk through: a table of locks
-- that all share, large objects and the log that anybody may write although he "reads only", a view whose conditions could
-- run before it had judged whose rows they see; and writes down what maintenance does to requests and invoices.

set role invoicegate_owner;

-- ---------------------------------------------------------------------------------------------- the server's functions

-- What needs no table's privilege and yet holds or writes something that all share.
create function gateway.shared_functions() returns table (function regprocedure, locks boolean)
    language sql stable set search_path = pg_catalog, pg_temp
    begin atomic
        select p.oid::regprocedure, p.proname ~ '^pg_(try_)?advisory_'
          from pg_proc p
         where p.pronamespace = 'pg_catalog'::regnamespace
           and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_'
                or p.proname in ('loread', 'lowrite', 'pg_logical_emit_message'));
    end;

-- Takes them from everybody, as far as the caller may: the locks stay with the owner, whose functions and whose members
-- ("invoicegatectl migrate") take them. Answers how many everybody may still execute. A superuser may call it again, as
-- after an upgrade of the server that brought more of them.
create function gateway.close_functions() returns integer
    language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_function regprocedure;
    v_locks    boolean;
    v_operator text := (select quote_ident(rolname) from pg_roles where rolname = session_user and not rolsuper);
begin
    for v_function, v_locks in
        select s.function, s.locks
          from gateway.shared_functions() s
          join pg_proc p on p.oid = s.function
         where pg_has_role(current_user, p.proowner, 'usage')
    loop
        if v_locks then
            execute format('grant execute on function %s to %s', v_function, concat_ws(', ', 'invoicegate_owner', v_operator));
        end if;
        execute format('revoke execute on function %s from public', v_function);
    end loop;
    return (select count(*) from gateway.shared_functions() s where has_function_privilege('public', s.function, 'execute'));
end
$$;

reset role;

do $$
declare
    v_open integer := gateway.close_functions();
begin
    if v_open > 0 then
        raise warning '% functions for locks, large objects and the log stay open to every login: "invoicegatectl doctor" '
                      'tells what to do', v_open;
    end if;
end
$$;

-- As "invoicegatectl dashboard-login add" does for new ones.
do $$
declare
    v_login name;
begin
    for v_login in
        select l.login from gateway.dashboard_logins l join pg_roles r on r.rolname = l.login order by 1
    loop
        execute format('alter role %I in database %I set idle_in_transaction_session_timeout = ''10min''', v_login,
                       current_database());
        if has_parameter_privilege('temp_file_limit', 'set') then
            execute format('alter role %I in database %I set temp_file_limit = ''1GB''', v_login, current_database());
        end if;
    end loop;
exception when insufficient_privilege then
    raise warning 'the logins of dashboards keep their settings: %', sqlerrm;
end
$$;

-- ---------------------------------------------------------------------------------------------- views

set role invoicegate_reader;

-- These read tables that have no policy: what the asker wrote must wait for their own conditions, or its errors would tell
-- other agencies' values. "create or replace view" forgets it. (Of gateway.upstreams the others show the mode alone.)
alter view audit.unfinished set (security_barrier = true);
alter view audit.unresolved set (security_barrier = true);
alter view audit.workers set (security_barrier = true);
alter view audit.dropped_months set (security_barrier = true);

reset role;

-- ---------------------------------------------------------------------------------------------- maintenance

set role invoicegate_owner;

-- In the order in which the workers take them.
lock table gateway.invoice_requests, gateway.invoices in share row exclusive mode;

-- Workers change these rows all the time; what the maintenance role changes in them is an event. After the update, since one
-- before it would lock each row that a worker updates once more.
create trigger maintenance_is_told after update on gateway.invoice_requests
    for each row when (current_user = 'invoicegate_maintenance') execute function gateway.guard_history();
create trigger maintenance_is_told after update on gateway.invoices
    for each row when (current_user = 'invoicegate_maintenance') execute function gateway.guard_history();

reset role;
