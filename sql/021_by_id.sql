-- Each request of a batch is looked up by its id, also before anybody knows how many there are.

set role invoicegate_owner;

-- "between v_first and v_last" is there for the months: those that hold none of the batch are not opened. But while a
-- month's statistics are young, the planner believes that nothing lies in between, and reads all of it for each request of
-- the batch: with 4,000 under way 4,000 rows instead of one. An alternative (or) still names the months, and is nothing that
-- an index could be read by.
do $$
declare
    v_function regprocedure;
    v_before   text;
    v_after    text;
begin
    foreach v_function in array array(select oid::regprocedure
                                        from pg_catalog.pg_proc
                                       where pronamespace = 'gateway'::regnamespace
                                         and proname in ('plan_invoices', 'note_invoices', 'finish_invoices')) loop
        v_before := pg_get_functiondef(v_function);
        v_after := regexp_replace(v_before, '(\w)\.request_id between v_first and v_last',
                                  '(\1.request_id between v_first and v_last or \1.request_id = v_first)', 'g');
        if v_after = v_before then
            raise exception '% is not what it was', v_function;
        end if;
        execute v_after;
    end loop;
end
$$;

-- Rows come and go and are hardly ever changed; what is read to the end should be short.
alter table gateway.work set (fillfactor = 90);

reset role;
