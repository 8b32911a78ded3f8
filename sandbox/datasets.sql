-- What the sandbox has beside METASPACE's own tables: how datasets come into being, and the queue of its update daemon.
CREATE SCHEMA sandbox;

CREATE TABLE sandbox.work (
  id bigserial PRIMARY KEY,
  action text NOT NULL CHECK (action IN ('create', 'edit', 'delete')),
  ds_id text NOT NULL,
  body json NOT NULL DEFAULT '{}'
);

INSERT INTO molecular_db (id, name, version) VALUES (22, 'HMDB', 'v4'), (38, 'CoreMetabolome', 'v3');

-- Adds a dataset as it is after its annotation, all of it decided by its number; harmless where its id is there already.
CREATE FUNCTION sandbox.add_dataset(ds_id text, ds_name text, public boolean, at timestamp, n integer) RETURNS void
LANGUAGE sql AS $$
  WITH made AS (
    INSERT INTO dataset (id, name, input_path, metadata, config, upload_dt, status, status_update_dt, is_public, acq_geometry, size_hash)
    VALUES (
      ds_id, ds_name, '/data/' || ds_id,
      json_build_object(
        'Sample_Information', json_build_object(
          'Organism', (ARRAY['Mus musculus', 'Homo sapiens', 'Rattus norvegicus'])[1 + n % 3],
          'Organism_Part', (ARRAY['Brain', 'Liver', 'Kidney', 'Lung'])[1 + n % 4]
        ),
        'MS_Analysis', json_build_object('Polarity', CASE WHEN n % 3 = 0 THEN 'Negative' ELSE 'Positive' END)
      ),
      json_build_object(
        'database_ids', CASE WHEN n % 2 = 0 THEN '[22, 38]' ELSE '[22]' END::json,
        'isotope_generation', json_build_object('adducts', CASE WHEN n % 3 = 0 THEN '["-H"]' ELSE '["+H", "+Na"]' END::json)
      ),
      at, 'FINISHED', at + interval '2 hours', public,
      json_build_object('length_unit', 'px', 'acquisition_grid', json_build_object('count_x', 20 + n % 9, 'count_y', 30)),
      json_build_object('imzml', md5(ds_id))
    )
    ON CONFLICT DO NOTHING
    RETURNING id, config
  ), jobs AS (
    INSERT INTO job (moldb_id, ds_id, status, start, finish)
    SELECT moldb::integer, made.id, 'FINISHED', at, at + interval '2 hours'
    FROM made, json_array_elements_text(made.config -> 'database_ids') AS moldb
    RETURNING id
  )
  INSERT INTO annotation (job_id, formula, adduct, msm, fdr, is_mono)
  SELECT
    jobs.id, 'C' || (4 + k) || 'H' || (7 + 2 * k) || 'NO' || (1 + k % 5),
    CASE WHEN n % 3 = 0 THEN '-H' WHEN k % 2 = 0 THEN '+Na' ELSE '+H' END,
    0.98 - 0.03 * k - 0.01 * (n % 7), (ARRAY[0.05, 0.1, 0.2, 0.5])[1 + k / 7], k % 5 <> 0
  FROM jobs, generate_series(1, CASE WHEN n % 29 = 7 THEN 0 ELSE 15 + n % 10 END) AS k
$$;

-- So many datasets, oldest first; every tenth is private.
SELECT sandbox.add_dataset(
  to_char(at, 'YYYY-MM-DD_HH24"h"MI"m"SS"s"'),
  (ARRAY['Mouse_brain', 'Liver-biopsy', 'Kidney section', 'Zürich_lung'])[1 + n % 4] || '_' || lpad(n::text, 5, '0'),
  n % 10 <> 4, at, n
)
FROM (
  SELECT n, timestamp '2021-03-01 08:00' + n * interval '7 hours 13 minutes 11 seconds' AS at
  FROM generate_series(1, :datasets) AS n
) AS numbered
ORDER BY n;
