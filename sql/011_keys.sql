-- API keys in daily life: which key followed which, and when one was last used.

set role invoicegate_owner;

alter table gateway.api_keys
    add column follows bigint;                -- the key that this one was made in place of, by 'key rotate'

-- Keys that opened something lately, as a worker has gathered them. A key's row is written once a minute at most, by
-- whichever worker comes first; a row that somebody else holds right now can wait for the next time.
-- p_worker: every function of the worker's begins with it.
create function gateway.keys_used(p_worker bigint, p_key_digest bytea[]) returns table (ord integer, verdict text)
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    begin atomic
        with due as (
            select k.agency_id, k.key_id
              from gateway.api_keys k
             where k.digest = any (p_key_digest)
               and (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
             order by k.agency_id, k.key_id
               for no key update skip locked
        )
        update gateway.api_keys k
           set last_used_at = now()
          from due
         where (k.agency_id, k.key_id) = (due.agency_id, due.key_id);
        select 1, 'go';
    end;

grant execute on function gateway.keys_used to invoicegate_worker;

reset role;
