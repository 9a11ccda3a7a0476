-- Repair and the status look at waiting blocks above the mirror's origin. Below it a backfill may leave any number.
create index inbox_detached on inbox (coalesce(block_height, 2147483647)) where state = 3;
comment on index inbox_detached is 'Blocks that wait for their parent, by height; those of unknown height last.';
