#pragma once
// Internal to client.cpp: what options and requests may not be. Pure.

#include <string>

#include "mitu/http/client.hpp"

namespace mitu::http {

/// Shape  a sentence without secrets; empty: nothing is wrong. The URL and the CA have their own.
[[nodiscard]] std::string find_problem(const ClientOptions& options);
/// Shape  a sentence without anything of the request; empty: it can be written as HTTP, and as no
///        more than one request.
[[nodiscard]] std::string find_problem(const ClientRequest& request);

}  // namespace mitu::http
