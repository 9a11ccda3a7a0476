-- Reconciliation: what no rerun needs any more may be removed, and nothing else.
alter table reconcile_run add pruned_at timestamptz;
comment on column reconcile_run.pruned_at is 'When what it stood on was removed: it cannot be carried out again. Such a run goes when nothing names it any more.';

create index platform_row_gone on platform_row (to_run) where to_run is not null;
comment on index platform_row_gone is 'Rows that do not stand any more, by the run that missed them.';
create index platform_row_from on platform_row (from_run);
comment on index platform_row_from is 'Whether a run is named by a row.';
create index break_event_run on break_event (run_id) where run_id is not null;
comment on index break_event_run is 'Whether a run is named by a line of the history.';
create index break_run on break (run_id) where run_id is not null;
comment on index break_run is 'Whether a run is named by a break.';
create index repair_outbox_run on repair_outbox (run_id);
comment on index repair_outbox_run is 'Whether a run is named by a repair.';
create index reconcile_run_again on reconcile_run (of_run) where of_run is not null;
comment on index reconcile_run_again is 'Reruns of a run.';

-- A row that stands, and a run that can be carried out again, are never removed.
drop trigger platform_row_stays on platform_row;
create trigger platform_row_stays before truncate on platform_row
    for each statement execute function refuse_change();
create trigger platform_row_stands before delete on platform_row
    for each row when (old.to_run is null) execute function refuse_change();
drop trigger reconcile_run_stays on reconcile_run;
create trigger reconcile_run_stays before truncate on reconcile_run
    for each statement execute function refuse_change();
create trigger reconcile_run_stands before delete on reconcile_run
    for each row when (old.pruned_at is null) execute function refuse_change();

-- 17 is the number of the projection of treasuries, which never changes.
create index projection_version_mover on projection_version (((state ->> 'last') collate "C")) where projection = 17;
comment on index projection_version_mover is 'Transactions that took a fee for a treasury, or paid from one. One entry per fee or payment.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant delete on platform_row, reconcile_run to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
