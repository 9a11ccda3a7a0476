-- Removes up to $2 rows that did not stand any more when run $1 began. What breaks that are not over point to stays: by
-- number, by the platform's own key, and by address or transaction.
with live as materialized (
    select subject_kind, subject_key from break where state <> 'resolved' or resolution = 'accepted'
)
delete from platform_row where id in (
    select r.id from platform_row r
    where r.to_run <= $1
      and not (r.entity = 'projects'
               and r.place::text in (select split_part(subject_key, '/', 2) from live where subject_kind = 'project'))
      and not (case when r.entity = 'projects' then r.key else substr(r.key, strpos(r.key, ' ') + 1) end
               in (select subject_key from live where subject_kind like 'platform%'))
      and not (r.entity <> 'projects' and split_part(r.key, ' ', 1)
               in (select split_part(subject_key, '/', 2) from live where subject_kind in ('badge', 'user', 'treasury_tx')))
    order by r.to_run, r.id limit $2)
