-- What an answer cost, in US dollars: 0 for a local model; NULL where nothing is known, as for all answers of before.
ALTER TABLE prediction ADD COLUMN cost REAL;
