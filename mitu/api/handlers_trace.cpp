// Following a client or a topic while it happens.

#include <fmt/format.h>

#include "mitu/api/operation.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::api {
namespace {

Answer<Reply> trace(Call& call) {
    const auto named = call.body.contains("tenant")
                           ? std::optional<std::string>{call.body["tenant"].get<std::string>()}
                           : std::nullopt;
    const auto scope = call.scope(named);
    if (!scope) return std::unexpected(scope.error());
    TraceRequest request;
    request.tenant = scope->value_or("default");
    request.client_id = call.body.value("client_id", "");
    request.filter = call.body.value("filter", "");
    request.with_payload = call.body.value("payload", false);
    request.duration = Duration::seconds(call.body.value("duration_s", 60));
    request.includes_unknown_tenants = !call.principal.tenant;
    call.audit.emplace_back("tenant", request.tenant);
    call.audit.emplace_back("client_id", request.client_id);
    call.audit.emplace_back("filter", request.filter);
    call.audit.emplace_back("payload", request.with_payload ? "true" : "false");
    if (request.client_id.empty() == request.filter.empty()) {
        return refuse(Code::body_invalid, "name either client_id or filter");
    }
    if (!request.filter.empty() && !mqtt::is_valid_topic_filter(request.filter)) {
        return refuse(Code::filter_invalid,
                      fmt::format("\"{}\" is not a topic filter", request.filter));
    }
    auto stream = call.services.backends.broker->trace(request);
    if (!stream) return std::unexpected(stream.error());
    Reply reply;
    reply.content_type = "application/x-ndjson";
    reply.stream = std::move(*stream);
    return reply;
}

}  // namespace

std::vector<Operation> trace_operations() {
    return {
        {.method = "POST",
         .path = "/trace",
         .id = "trace",
         .tag = "clients",
         .summary = "What happens to one client, or to the messages of one topic, from now on: one "
                    "TraceEvent a line (application/x-ndjson), until the time is over or the "
                    "connection is closed. An empty line says that nothing has happened",
         .needs = Needs::operator_role,
         .body = "TraceRequest",
         .errors = {Code::tenant_unknown, Code::filter_invalid, Code::too_many_traces},
         .handler = trace},
    };
}

}  // namespace mitu::api
