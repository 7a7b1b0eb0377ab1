-- The largest one-minute count of each tenant's events within each quarter hour of arrival.
SELECT
  {{ hp_date(var('day')) }} AS day,
  tenant,
  {{ hp_slot_of_minute('minute') }} AS slot,
  max(events) AS peak_epm
FROM (
  SELECT
    tenant,
    minute,
    {{ hp_bigint('count(*)') }} AS events
  FROM (
    SELECT
      {{ hp_label('tenant') }} AS tenant,
      {{ hp_minute('arrival') }} AS minute
    FROM {{ source('bronze', 'logs') }}
    WHERE ingest_date = {{ hp_date(var('day')) }}
  ) AS stamped
  GROUP BY tenant, minute
) AS minutes
GROUP BY tenant, {{ hp_slot_of_minute('minute') }}
ORDER BY tenant, slot
