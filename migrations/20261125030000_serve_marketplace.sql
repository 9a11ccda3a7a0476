-- What lists, boards and series of the marketplace are read by. The numbers are projections: 10 projects,
-- 12 profiles, 17 treasury. Each index is partial: a version of any other projection costs it nothing.

-- The clock: the block's own time, and before epoch 3.0, when it has none, its Bitcoin block's.
create index block_clock on block ((coalesce(block_time, burn_block_time)), height);
comment on index block_clock is 'Blocks by clock, for `at_time` and for days. One entry per block.';

-- A project's first version: where its height is the one at which it was opened.
create index projection_version_opening on projection_version (height, position)
    where projection = 10 and (state ->> 'opened_height')::integer = height and state ->> 'status' = 'open';
comment on index projection_version_opening is 'Projects in the order in which they were opened. One entry per project and fork.';
create index projection_version_total on projection_version (((state ->> 'total')::numeric), height, position)
    where projection = 10 and (state ->> 'opened_height')::integer = height and state ->> 'status' = 'open';
comment on index projection_version_total is 'Projects in the order of their amounts. One entry per project and fork.';
create index projection_version_project on projection_version (height, position) where projection = 10;
comment on index projection_version_project is 'Changes of projects in chain order. One entry per event of a project.';
create index projection_version_closing on projection_version (height, (state ->> 'status'))
    where projection = 10 and state ->> 'closed' is not null;
comment on index projection_version_closing is 'Projects in the order in which they ended. One entry per project that ended.';
create index projection_version_dispute on projection_version (split_part(entity, '/', 1), length(entity), entity)
    where projection = 10 and state @> '{"milestones": [{"status": "disputed"}]}';
comment on index projection_version_dispute is 'Projects with a dispute, by number. One entry per event while a dispute is open.';
create index projection_version_profile on projection_version (height, entity) where projection = 12;
comment on index projection_version_profile is 'Who did something between two heights. One entry per change of a user.';
create index projection_version_handle on projection_version ((state ->> 'handle') text_pattern_ops, entity)
    where projection = 12 and state ->> 'handle' is not null;
comment on index projection_version_handle is 'Users by handle. One entry per change of a user who has one.';
create index projection_version_treasury on projection_version (height, position) where projection = 17;
comment on index projection_version_treasury is 'Fees and payments in chain order. One entry for each.';
