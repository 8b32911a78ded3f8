ALTER TABLE molecular_db ADD COLUMN targeted boolean NOT NULL DEFAULT FALSE;
