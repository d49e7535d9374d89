#pragma once
// Problems of templates and registries are those of any YAML file.

#include "mitu/yaml/problem.hpp"

namespace mitu::fleet {

using yaml::did_you_mean;
using yaml::Problem;
using yaml::Problems;
using yaml::SourceFile;
using yaml::to_text;

}  // namespace mitu::fleet
