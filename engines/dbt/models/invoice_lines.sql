-- What the day costs. A tenant with prices of its own has all its prices under its name; the others share those with a null tenant.
-- The product of quantity and price is exact, so the cast to cents is the only rounding: half away from zero.
WITH quantities AS (
  SELECT tenant, 'gb' AS item, {{ hp_scaled('sum(bytes)', '0.000000001') }} AS quantity
  FROM {{ ref('usage_15m') }}
  WHERE day = {{ hp_date(var('day')) }}
  GROUP BY tenant
  UNION ALL
  SELECT tenant, 'million_events' AS item, {{ hp_scaled('sum(events)', '0.000001') }} AS quantity
  FROM {{ ref('usage_15m') }}
  WHERE day = {{ hp_date(var('day')) }}
  GROUP BY tenant
),

own AS (
  SELECT DISTINCT tenant FROM {{ source('billing', 'rates') }} WHERE tenant IS NOT NULL
),

rated AS (
  SELECT
    quantities.tenant,
    quantities.item,
    rates.tier,
    CAST({{ hp_least('quantities.quantity', 'rates.upper_bound') }} - rates.lower_bound AS DECIMAL(19, 9)) AS quantity,
    rates.unit_price,
    rates.currency
  FROM quantities
  LEFT JOIN own ON own.tenant = quantities.tenant
  INNER JOIN {{ source('billing', 'rates') }} AS rates
    ON rates.item = quantities.item
    AND ((own.tenant IS NULL AND rates.tenant IS NULL) OR rates.tenant = own.tenant)
  WHERE quantities.quantity > rates.lower_bound
)

SELECT
  {{ hp_date(var('day')) }} AS day,
  tenant,
  item,
  tier,
  quantity,
  unit_price,
  {{ hp_amount('quantity', 'unit_price') }} AS amount,
  currency
FROM rated
ORDER BY tenant, item, tier
