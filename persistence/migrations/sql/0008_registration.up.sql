-- Registration: generations open one after the other, each as large as the one before lets expect. Additive: an older
-- node goes by the thresholds that stand, and opens a generation as it is planned.

CREATE FUNCTION keep_opened_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.generation, NEW.threshold) <> (OLD.generation, OLD.threshold)
        AND EXISTS (SELECT FROM players WHERE generation = OLD.generation)
    THEN
        RAISE EXCEPTION 'generation % has players, and its threshold never changes', OLD.generation
            USING ERRCODE = 'restrict_violation', TABLE = 'generations', CONSTRAINT = 'generations_opened';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION keep_opened_generation IS 'Trigger: who is in a generation was told its size.';
CREATE TRIGGER generations_opened BEFORE UPDATE ON generations
    FOR EACH ROW EXECUTE FUNCTION keep_opened_generation();
COMMENT ON TRIGGER generations_opened ON generations IS 'The threshold of a generation with players never changes; those to come are plans.';

CREATE FUNCTION next_generation_capacity(capacity bigint, fill_days bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN capacity * least(80000, greatest(10000, 560000 / greatest(1, fill_days))) / 10000;
COMMENT ON FUNCTION next_generation_capacity IS
    'Players in the generation after one of this capacity that filled in so many days: 14 days give four times as many, 7 or fewer eight times, 56 or more as many.';

CREATE FUNCTION generation_of_next(seq bigint) RETURNS generations LANGUAGE plpgsql AS $$
DECLARE
    holding generations;
    previous generations;
    first_seq bigint;
    fill_days bigint;
BEGIN
    SELECT * INTO STRICT holding FROM generations WHERE threshold >= seq ORDER BY generation LIMIT 1;
    SELECT * INTO previous FROM generations WHERE generation = holding.generation - 1;
    IF previous.threshold IS DISTINCT FROM seq - 1 THEN
        RETURN holding;
    END IF;
    -- the first of a new generation: the one before is full, and how fast it filled decides
    first_seq := 1 + coalesce((SELECT threshold FROM generations WHERE generation = previous.generation - 1), 0);
    SELECT floor(extract(epoch FROM later.created_at - earlier.created_at) / 86400) INTO fill_days
    FROM players AS earlier, players AS later
    WHERE earlier.join_seq = first_seq AND later.join_seq = previous.threshold;
    DELETE FROM generations WHERE generation > holding.generation;
    UPDATE generations
    SET threshold = previous.threshold + next_generation_capacity(previous.threshold - first_seq + 1, fill_days)
    WHERE generation = holding.generation RETURNING * INTO holding;
    -- what comes after is planned as if each filled in a fortnight
    INSERT INTO generations (generation, threshold)
    SELECT holding.generation + k, holding.threshold + (holding.threshold - previous.threshold) * 4 * (4::numeric ^ k - 1)::bigint / 3
    FROM generate_series(1, greatest(14 - holding.generation, 2)) AS k;
    RETURN holding;
END $$;
COMMENT ON FUNCTION generation_of_next IS
    'The generation of the next player to register, whose number is told; opens it for its first. Only under the lock of registration.';
