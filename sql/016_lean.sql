-- What each batch prepares and looks for without need.

set role invoicegate_owner;

-- The member that stands for a client is found in this order, without sorting.
create index members_admins on gateway.members (agency_id, client_id, (email is null), member_id) where is_admin;

-- The attempts of the same batch. p_again: some of them may be recorded already, and change nothing; where none can be,
-- nobody needs to look. (plpgsql keeps its plan; an SQL function would be planned anew at each call.)
drop function gateway.record_calls(uuid[], integer[], text[], integer[], bigint[], integer[], integer[], text[], text[]);
create function gateway.record_calls(
    p_request_id uuid[], p_fence integer[], p_step text[], p_attempt integer[], p_started_us bigint[],
    p_duration_ms integer[], p_http_status integer[], p_outcome text[], p_upstream_request_id text[],
    p_again boolean default true) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = force_generic_plan
as $$
begin
    if p_again then
        insert into gateway.upstream_calls (request_id, fence, step, attempt, started_at, duration_ms, http_status,
                                            outcome, upstream_request_id)
        select p_request_id[i], p_fence[i], p_step[i], p_attempt[i], to_timestamp(p_started_us[i] / 1e6::float8),
               p_duration_ms[i], p_http_status[i], p_outcome[i], p_upstream_request_id[i]
          from generate_subscripts(p_request_id, 1) as i
            on conflict do nothing;
    else
        insert into gateway.upstream_calls (request_id, fence, step, attempt, started_at, duration_ms, http_status,
                                            outcome, upstream_request_id)
        select p_request_id[i], p_fence[i], p_step[i], p_attempt[i], to_timestamp(p_started_us[i] / 1e6::float8),
               p_duration_ms[i], p_http_status[i], p_outcome[i], p_upstream_request_id[i]
          from generate_subscripts(p_request_id, 1) as i;
    end if;
end
$$;
grant execute on function gateway.record_calls to invoicegate_worker;

reset role;
