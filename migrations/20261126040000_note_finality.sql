-- Whoever looks at a mirror from another process says the same of finality as the process that writes it.
alter table lease add column finality_burn_blocks integer check (finality_burn_blocks > 0);
comment on column lease.finality_burn_blocks is 'Bitcoin blocks after which the process that took the lease last counts a block as final; null where it did not say.';
