#include "mitu/http/routes.hpp"

#include <gtest/gtest.h>

namespace mitu::http {
namespace {

/// Routes whose handlers answer with their pattern.
Routes make_routes(std::initializer_list<const char*> patterns) {
    Routes routes;
    for (const char* const pattern : patterns) {
        routes.add("GET", pattern,
                   {[pattern](const Request&) { return Response{200, "text/plain", pattern}; }});
    }
    return routes;
}

std::string found(const Routes& routes, std::string_view path) {
    const auto match = routes.find("GET", *parse_target(path));
    return match.entry == nullptr ? "none" : match.entry->handler(Request{}).body;
}

}  // namespace

TEST(routes, the_pattern_that_is_literal_first_wins) {
    const Routes routes = make_routes({"/c/*", "/c/{tenant}/{id}", "/c/{tenant}/{id}/subscriptions",
                                       "/c/all/{id}", "/r/{tenant}/{topic...}", "/"});
    EXPECT_EQ(found(routes, "/c/a/b"), "/c/{tenant}/{id}");
    EXPECT_EQ(found(routes, "/c/all/b"), "/c/all/{id}");
    EXPECT_EQ(found(routes, "/c/a/b/subscriptions"), "/c/{tenant}/{id}/subscriptions");
    EXPECT_EQ(found(routes, "/c/a/b/else"), "/c/*");
    EXPECT_EQ(found(routes, "/c/a"), "/c/*");
    EXPECT_EQ(found(routes, "/c"), "none");
    EXPECT_EQ(found(routes, "/r/a"), "none");
    EXPECT_EQ(found(routes, "/"), "/");
    EXPECT_EQ(found(routes, "/x"), "none");
}

TEST(routes, a_slash_that_is_escaped_stays_inside_its_segment) {
    const Routes routes = make_routes({"/c/{tenant}/{id}", "/r/{tenant}/{topic...}"});
    const auto params = [&](std::string_view path) {
        return routes.find("GET", *parse_target(path)).params;
    };
    EXPECT_EQ(params("/c/acme/a%2Fb%20c"), (Fields{{"tenant", "acme"}, {"id", "a/b c"}}));
    EXPECT_EQ(params("/r/acme/a/b%2Fc//"), (Fields{{"tenant", "acme"}, {"topic", "a/b/c//"}}));
    EXPECT_EQ(params("/r/acme//a"), (Fields{{"tenant", "acme"}, {"topic", "/a"}}));
    EXPECT_EQ(params("/r/%2Facme/a"), (Fields{{"tenant", "/acme"}, {"topic", "a"}}));
}

TEST(routes, one_pattern_has_several_methods) {
    Routes routes = make_routes({"/r/{id}"});
    routes.add("DELETE", "/r/{id}", {[](const Request&) { return Response{}; }, Runs::on_pool});
    const Target target = *parse_target("/r/1");
    EXPECT_EQ(routes.find("PUT", target).allowed, "DELETE, GET, HEAD");
    EXPECT_EQ(routes.find("PUT", target).entry, nullptr);
    ASSERT_NE(routes.find("DELETE", target).entry, nullptr);
    EXPECT_EQ(routes.find("DELETE", target).entry->runs, Runs::on_pool);
    EXPECT_NE(routes.find("HEAD", target).entry, nullptr);
}

}  // namespace mitu::http
