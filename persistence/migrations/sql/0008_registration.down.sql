-- Thresholds stay as they are: players were told them.
DROP TRIGGER generations_opened ON generations;
DROP FUNCTION generation_of_next, next_generation_capacity, keep_opened_generation;
