-- PostgreSQL's own view, with one row more: a setting that no library has defined
-- can be read with SHOW, but is not in pg_settings, where clients of Aurora look
-- for it. The view stays the same object, with its rules and privileges, and
-- whoever selects from it needs no more than before; nothing here is looked up by
-- name when it is used, and nothing runs as somebody else.

CREATE OR REPLACE VIEW pg_catalog.pg_settings AS
	SELECT * FROM pg_catalog.pg_show_all_settings() AS a
	UNION ALL
	SELECT 'rds.extensions', s.value, NULL, 'Customized Options', 'Shows the extensions that can be created.', NULL, 'user', 'string',
		'configuration file', NULL, NULL, NULL, '', s.value, NULL, NULL, false
	FROM pg_catalog.current_setting('rds.extensions', true) AS s (value)
	WHERE s.value IS NOT NULL;
