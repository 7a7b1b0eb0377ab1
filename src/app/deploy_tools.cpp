#include "app/deploy_tools.h"

#include <cstdlib>
#include <filesystem>

#include "deploy/engines.h"

namespace headpond::app {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string first_existing(std::initializer_list<fs::path> candidates) {
  std::error_code ignored;
  for (const auto& path : candidates)
    if (!path.empty() && fs::exists(path, ignored)) return path.string();
  return "";
}

// pyspark is a Spark: its folder inside the venv.
std::string pyspark_below(const fs::path& venv) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(venv / "lib", ignored)) {
    const auto home = entry.path() / "site-packages" / "pyspark";
    if (fs::exists(home / "bin" / "spark-submit", ignored)) return home.string();
  }
  return "";
}

void set(std::string& out, const std::string& value) {
  if (!value.empty()) out = value;
}

}  // namespace

deploy::Tools find_tools() {
  deploy::Tools tools;
  const fs::path home = variable("HOME"),
                 cache = variable("HEADPOND_CACHE").empty() ? home / ".cache" / "headpond" : fs::path(variable("HEADPOND_CACHE"));
  std::error_code ignored;
  const auto self = fs::read_symlink("/proc/self/exe", ignored).parent_path().parent_path();
  set(tools.engines, first_existing({variable("HEADPOND_ENGINES"), self / "engines"}));
  set(tools.flink_home, first_existing({cache / "flink" / std::string(deploy::kFlinkTested[0])}));
  set(tools.flink_jar, first_existing({variable("HEADPOND_FLINK_JAR"), self / "build" / "flink" / "headpond-pager.jar"}));
  set(tools.flink_home, variable("FLINK_HOME"));
  set(tools.flink_rest, variable("FLINK_REST"));
  set(tools.spark_home, pyspark_below(cache / "spark" / "venv"));
  const std::string installed = tools.spark_home;
  set(tools.spark_home, variable("SPARK_HOME"));
  if (tools.spark_home == installed) set(tools.spark_classes, first_existing({cache / "spark" / "classes.jsa"}));
  set(tools.spark_master, variable("SPARK_MASTER"));
  set(tools.spark_jars, first_existing({cache / "spark" / "jars"}));
  set(tools.dbt, first_existing({cache / "dbt" / "venv" / "bin" / "dbt"}));
  set(tools.dbt, variable("HEADPOND_DBT"));
  tools.s3_endpoint = variable("AWS_ENDPOINT_URL");
  tools.s3_region = variable("AWS_REGION");
  return tools;
}

}  // namespace headpond::app
