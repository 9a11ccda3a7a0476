-- What the marketplace's lists are read by. The numbers are projections: 10 projects, 13 badges, 14 governance
-- actions; numbers of projections are never reused.
create index projection_current_number on projection_current
    (projection, split_part(entity, '/', 1), length(entity), entity) where projection in (10, 13, 14);
comment on index projection_current_number is 'Entities CONTRACT/NUMBER in the order of their numbers.';
create index projection_version_client on projection_version ((state ->> 'client')) where projection = 10;
create index projection_version_freelancer on projection_version ((state ->> 'freelancer')) where projection = 10;
create index projection_version_arbiter on projection_version ((state ->> 'arbiter')) where projection = 10;
create index projection_version_owner on projection_version ((state ->> 'owner')) where projection = 13;
