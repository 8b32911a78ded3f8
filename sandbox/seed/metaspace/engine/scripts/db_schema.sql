CREATE TABLE molecular_db (
  id integer PRIMARY KEY,
  name text NOT NULL,
  version text NOT NULL,
  targeted boolean NOT NULL DEFAULT false
);

CREATE TABLE dataset (
  id text PRIMARY KEY,
  name text,
  input_path text,
  metadata json,
  config json,
  upload_dt timestamp,
  status text,
  status_update_dt timestamp NOT NULL,
  is_public boolean NOT NULL DEFAULT true,
  acq_geometry json,
  size_hash json
);
CREATE INDEX ind_dataset_name ON dataset (name);

CREATE TABLE job (
  id serial PRIMARY KEY,
  moldb_id integer NOT NULL REFERENCES molecular_db,
  ds_id text REFERENCES dataset ON DELETE CASCADE,
  status text,
  start timestamp,
  finish timestamp
);
CREATE INDEX job_ds_id_index ON job (ds_id);

CREATE TABLE annotation (
  id serial PRIMARY KEY,
  job_id integer NOT NULL REFERENCES job ON DELETE CASCADE,
  formula text NOT NULL,
  chem_mod text NOT NULL DEFAULT '',
  neutral_loss text NOT NULL DEFAULT '',
  adduct text NOT NULL,
  msm real NOT NULL,
  fdr real NOT NULL,
  is_mono boolean,
  UNIQUE (job_id, formula, chem_mod, neutral_loss, adduct)
);
CREATE INDEX annotation_job_id_index ON annotation (job_id);
