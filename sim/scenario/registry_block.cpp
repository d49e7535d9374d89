#include "sim/scenario/registry_block.hpp"

#include <algorithm>

#include "mitu/fleet/csv.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::sim::scenario {
namespace {

constexpr identity::CredentialCost cost_least{1, 8};

}  // namespace

Registry read_registry(const std::string& file, std::uint32_t line, std::string_view block,
                       Problems& problems) {
    Registry registry;
    registry.csv.assign(line - 1, '\n');
    std::vector<std::string> header;
    std::vector<std::string> fields;
    const auto column = [&](std::string_view name) {
        return static_cast<std::size_t>(std::find(header.begin(), header.end(), name) -
                                        header.begin());
    };
    for (; const auto text = fleet::next_line(block); ++line) {
        if (text->empty() || text->starts_with('#')) {
            registry.csv += '\n';
            continue;
        }
        if (!fleet::split_csv(*text, fields)) {
            problems.push_back({file, line, "a quote of the registry is not closed; end it"});
            return registry;
        }
        if (header.empty()) {
            header = fields;
            for (const std::string_view name : {"device", "tenant", "password"}) {
                if (column(name) != header.size()) continue;
                problems.push_back({file, line,
                                    "the registry has no column " + std::string{name} +
                                        "; use device,tenant,class,labels,password"});
                return registry;
            }
            fields[column("password")] = "credential";
        } else if (fields.size() != header.size()) {
            problems.push_back({file, line,
                                "the line has another number of fields than the registry's first; "
                                "make them equal"});
            return registry;
        } else {
            std::string& password = fields[column("password")];
            const std::string& device = fields[column("device")];
            registry.logins[device] = {device + '@' + fields[column("tenant")], password};
            password = identity::hash_password(password, identity::Salt{1, 2, 3}, cost_least);
        }
        for (std::size_t i = 0; i < fields.size(); ++i) {
            registry.csv += (i == 0 ? "" : ",") + fleet::quote_csv(fields[i]);
        }
        registry.csv += '\n';
    }
    return registry;
}

}  // namespace mitu::sim::scenario
