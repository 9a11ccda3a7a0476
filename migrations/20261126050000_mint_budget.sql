-- The fees of a day are bounded here as well: the program alone could be wrong about what it spent.

alter table mint_lane add column fee_budget numeric(39, 0) constraint lane_fee_budget check (fee_budget >= 0);
comment on column mint_lane.fee_budget is 'Micro-STX that transactions signed within 24 hours may offer together. Null: whoever took the lease last knows of none.';

-- Of a slot only one transaction can be mined, so that its dearest one counts, as long as any of it is younger than a day.
-- What was found on the chain is paid already. The lane's row is locked before the slot's, as everybody does.
create function attempt_is_affordable() returns trigger language plpgsql as $$
declare
    budget numeric;
    spent numeric;
begin
    if new.adopted then
        return new;
    end if;
    select fee_budget into budget from mint_lane where sender = new.sender for update;
    if budget is null then
        return new;
    end if;
    select coalesce(sum(dearest), 0) into spent from (
        select max(fee) as dearest from tx_attempt
        where sender = new.sender and not adopted and nonce <> new.nonce and nonce in (
            select nonce from tx_attempt
            where sender = new.sender and not adopted and signed_at > clock_timestamp() - interval '24 hours')
        group by nonce) slots;
    if spent + new.fee > budget then
        raise exception 'attempt at % of %: with a fee of % the day''s fees are %, and its budget is %',
            new.nonce, new.sender, new.fee, spent + new.fee, budget;
    end if;
    return new;
end
$$;

create trigger attempt_is_affordable before insert on tx_attempt for each row execute function attempt_is_affordable();
-- A session that plays a replica would pass by an ordinary trigger.
alter table tx_attempt enable always trigger attempt_is_affordable;
