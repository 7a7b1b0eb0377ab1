// What of Flink, Spark and dbt is on this machine. From the environment first (FLINK_HOME, FLINK_REST, SPARK_HOME, SPARK_MASTER,
// HEADPOND_FLINK_JAR, HEADPOND_DBT, HEADPOND_ENGINES, AWS_ENDPOINT_URL, AWS_REGION), else where tools/ installs; what is neither stays a
// reference such as
// "$FLINK_HOME".
#pragma once

#include "deploy/commands.h"

namespace headpond::app {

deploy::Tools find_tools();

}  // namespace headpond::app
