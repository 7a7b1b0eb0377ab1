{# The dialects. default__ is DuckDB's, spark__ Spark's where it differs; Headpond's own runner reads the default__ ones of this file. #}

{# A day such as 2026-11-25 as a DATE. #}
{% macro hp_date(day) %}{{ return(adapter.dispatch('hp_date', 'headpond')(day)) }}{% endmacro %}
{% macro default__hp_date(day) %}DATE '{{ day }}'{% endmacro %}

{# What is null is billed under a name of its own. #}
{% macro hp_label(name) %}{{ return(adapter.dispatch('hp_label', 'headpond')(name)) }}{% endmacro %}
{% macro default__hp_label(name) %}coalesce({{ name }}, '(none)'){% endmacro %}

{# Sums and counts are BIGINT everywhere. #}
{% macro hp_bigint(number) %}{{ return(adapter.dispatch('hp_bigint', 'headpond')(number)) }}{% endmacro %}
{% macro default__hp_bigint(number) %}CAST({{ number }} AS BIGINT){% endmacro %}

{# Quarter hour of the UTC day, 0 to 95, from the integer epoch. #}
{% macro hp_slot(ts) %}{{ return(adapter.dispatch('hp_slot', 'headpond')(ts)) }}{% endmacro %}
{% macro default__hp_slot(ts) %}CAST((epoch_us({{ ts }}) // 900000000) % 96 AS INTEGER){% endmacro %}
{% macro spark__hp_slot(ts) %}CAST((unix_micros({{ ts }}) div 900000000) % 96 AS INT){% endmacro %}

{# Minute since the epoch. #}
{% macro hp_minute(ts) %}{{ return(adapter.dispatch('hp_minute', 'headpond')(ts)) }}{% endmacro %}
{% macro default__hp_minute(ts) %}epoch_us({{ ts }}) // 60000000{% endmacro %}
{% macro spark__hp_minute(ts) %}unix_micros({{ ts }}) div 60000000{% endmacro %}

{# Quarter hour of the day in which such a minute lies. #}
{% macro hp_slot_of_minute(minute) %}{{ return(adapter.dispatch('hp_slot_of_minute', 'headpond')(minute)) }}{% endmacro %}
{% macro default__hp_slot_of_minute(minute) %}CAST(({{ minute }} // 15) % 96 AS INTEGER){% endmacro %}
{% macro spark__hp_slot_of_minute(minute) %}CAST(({{ minute }} div 15) % 96 AS INT){% endmacro %}

{# An integer times a power of ten, exactly. #}
{% macro hp_scaled(count, factor) %}{{ return(adapter.dispatch('hp_scaled', 'headpond')(count, factor)) }}{% endmacro %}
{% macro default__hp_scaled(count, factor) %}CAST(CAST({{ count }} AS DECIMAL(19, 0)) * CAST('{{ factor }}' AS DECIMAL(10, 9)) AS DECIMAL(19, 9)){% endmacro %}

{# The smaller of a number and a bound that may be null (no bound). #}
{% macro hp_least(number, bound) %}{{ return(adapter.dispatch('hp_least', 'headpond')(number, bound)) }}{% endmacro %}
{% macro default__hp_least(number, bound) %}CASE WHEN {{ number }} > {{ bound }} THEN {{ bound }} ELSE {{ number }} END{% endmacro %}

{# (19,9) times (18,9) is exact in DuckDB's (37,18) and in Spark's (38,18); both casts round half away from zero. #}
{% macro hp_amount(quantity, price) %}{{ return(adapter.dispatch('hp_amount', 'headpond')(quantity, price)) }}{% endmacro %}
{% macro default__hp_amount(quantity, price) %}CAST({{ quantity }} * {{ price }} AS DECIMAL(28, 2)){% endmacro %}
