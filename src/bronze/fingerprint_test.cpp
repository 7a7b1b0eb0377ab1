#include "bronze/fingerprint.h"

#include <gtest/gtest.h>

#include <string>

#include "bronze/audit.h"
#include "bronze/facts.h"

namespace headpond::bronze {
namespace {

// Frozen; they stand in docs/formats/bronze.md, computed by verify_bronze.py.
TEST(Fingerprint, OfARowHasTheFrozenValue) {
  EXPECT_EQ(fingerprint_text(row_fingerprint("logs@0", 3, 41, 0, "acme", 430)), "7eb29bda77f62207");
  EXPECT_EQ(fingerprint_text(row_fingerprint("logs@0", 3, 41, 0, {}, 430)), "51b826b08a1b82d4");
}

TEST(Fingerprint, OfAPayloadHasTheFrozenValue) {
  EXPECT_EQ(fingerprint_text(payload_fingerprint(41, R"({"a":1})")), "73d392ebe518455a");
}

TEST(Fingerprint, TellsEachFieldApart) {
  const auto base = row_fingerprint("logs@0", 3, 41, 0, "acme", 430);
  EXPECT_NE(row_fingerprint("logs@1", 3, 41, 0, "acme", 430), base);
  EXPECT_NE(row_fingerprint("logs@0", 4, 41, 0, "acme", 430), base);
  EXPECT_NE(row_fingerprint("logs@0", 3, 42, 0, "acme", 430), base);
  EXPECT_NE(row_fingerprint("logs@0", 3, 41, 1, "acme", 430), base);
  EXPECT_NE(row_fingerprint("logs@0", 3, 41, 0, "acmf", 430), base);
  EXPECT_NE(row_fingerprint("logs@0", 3, 41, 0, "acme", 431), base);
  EXPECT_NE(row_fingerprint("logs@0", 3, 41, 0, "", 430), row_fingerprint("logs@0", 3, 41, 0, {}, 430));  // empty is not NULL
}

TEST(Fingerprint, HashesTenantsLongerThanItsBuffer) {
  RowHasher hasher("logs@0");
  const std::string tenant(10'000, 't');
  EXPECT_EQ(hasher(3, 41, 0, tenant, 430), row_fingerprint("logs@0", 3, 41, 0, tenant, 430));
  EXPECT_EQ(hasher(3, 41, 0, "acme", 430), row_fingerprint("logs@0", 3, 41, 0, "acme", 430));
}

}  // namespace
}  // namespace headpond::bronze
