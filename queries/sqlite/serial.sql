-- The serial of the catalog: how often it changed.

-- name: serial_get()$
-- The serial as it is now.
select value
  from serial;
