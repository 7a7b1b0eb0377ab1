// The words of the intermediate representation, for who writes it and who reads it.
#pragma once

#include <array>
#include <string_view>

namespace headpond::rules {

// By Predicate::Kind and Expression::Kind.
inline constexpr std::array<std::string_view, 11> kPredicateKinds = {"true",    "compare", "columns", "in", "like", "match",
                                                                     "is_null", "truth",   "and",     "or", "not"};
inline constexpr std::array<std::string_view, 10> kExpressionKinds = {"number", "count", "absent",  "+",   "-",
                                                                      "*",      "/",     "compare", "and", "or"};

}  // namespace headpond::rules
