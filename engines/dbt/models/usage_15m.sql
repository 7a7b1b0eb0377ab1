-- What each tenant and service used on the day, by quarter hour of arrival.
SELECT
  {{ hp_date(var('day')) }} AS day,
  tenant,
  service,
  slot,
  {{ hp_bigint('count(*)') }} AS events,
  {{ hp_bigint('sum(bytes)') }} AS bytes,
  {{ hp_bigint('count(error)') }} AS errors
FROM (
  SELECT
    {{ hp_label('tenant') }} AS tenant,
    {{ hp_label('service') }} AS service,
    {{ hp_slot('arrival') }} AS slot,
    bytes,
    error
  FROM {{ source('bronze', 'logs') }}
  WHERE ingest_date = {{ hp_date(var('day')) }}
) AS stamped
GROUP BY tenant, service, slot
ORDER BY tenant, service, slot
