{# No two rows agree in all of these columns. #}
{% test hp_unique_together(model, columns) %}
SELECT {{ columns | join(', ') }}, count(*) AS times
FROM {{ model }}
GROUP BY {{ columns | join(', ') }}
HAVING count(*) > 1
{% endtest %}

{# Each value lies within these bounds; a bound that is left out is none. #}
{% test hp_within(model, column_name, lowest=none, highest=none) %}
SELECT {{ column_name }}
FROM {{ model }}
WHERE false
{%- if lowest is not none %} OR {{ column_name }} < {{ lowest }}{% endif %}
{%- if highest is not none %} OR {{ column_name }} > {{ highest }}{% endif %}
{% endtest %}
