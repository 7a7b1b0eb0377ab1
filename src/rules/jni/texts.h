// Java's strings and arrays as C++ values. Java's UTF-8 is its own; texts cross as UTF-16. Only files of this folder include it.
#pragma once

#include <jni.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headpond::rules::jni {

std::string utf8(JNIEnv* env, jstring text);            // a lone surrogate becomes U+FFFD
jstring java_text(JNIEnv* env, std::string_view utf8);  // what is no UTF-8 becomes U+FFFD
std::string bytes(JNIEnv* env, jbyteArray array);       // of null: empty
jbyteArray java_bytes(JNIEnv* env, std::string_view bytes);
std::vector<std::int64_t> longs(JNIEnv* env, jlongArray array);

}  // namespace headpond::rules::jni
