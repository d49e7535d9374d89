// What a login costs: finding a user among a million, checking what it shows.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "mitu/base/check.hpp"
#include "mitu/identity/credential.hpp"
#include "mitu/identity/jwt.hpp"
#include "mitu/identity/password_file.hpp"
#include "mitu/identity/scram.hpp"
#include "mitu/identity/testing/token_signer.hpp"

namespace mitu::identity {
namespace {

constexpr std::int64_t users = 1'000'000;

std::string million_users() {
    const std::string hash = hash_password("x", Salt{1}, {1, 8});
    std::string text;
    for (std::int64_t i = 0; i < users; ++i) text += fmt::format("device-{:07}:{}\n", i, hash);
    return text;
}

void parse_million_users(benchmark::State& state) {
    const std::string text = million_users();
    for ([[maybe_unused]] auto _ : state) MITU_CHECK(PasswordFile::parse(text).has_value());
    state.counters["bytes"] = static_cast<double>(text.size());
}
BENCHMARK(parse_million_users)->Unit(benchmark::kMillisecond)->Iterations(3);

void find_one_of_a_million(benchmark::State& state) {
    const auto file = PasswordFile::parse(million_users());
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < 4'096; ++i) names.push_back(fmt::format("device-{:07}", i * 241));
    std::size_t next = 0;
    for ([[maybe_unused]] auto _ : state) {
        MITU_CHECK(file->find(names[next++ % names.size()]).has_value());
    }
}
BENCHMARK(find_one_of_a_million);

void verify_token_of(benchmark::State& state, const char* algorithm) {
    const TokenSigner signer{algorithm};
    const KeySet keys = *algorithm == 'H' ? *KeySet::from_secret(TokenSigner::secret())
                                          : *KeySet::from_pem(signer.public_pem());
    const std::string token = signer.sign(R"({"exp":2000000000,"sub":"s","iss":"i"})");
    for ([[maybe_unused]] auto _ : state) {
        MITU_CHECK(verify_token(token, keys, {}, {"c", "u"}, 1'700'000'000).has_value());
    }
}
BENCHMARK_CAPTURE(verify_token_of, hs256, "HS256");
BENCHMARK_CAPTURE(verify_token_of, rs256, "RS256");
BENCHMARK_CAPTURE(verify_token_of, es256, "ES256");
BENCHMARK_CAPTURE(verify_token_of, es384, "ES384");
BENCHMARK_CAPTURE(verify_token_of, eddsa, "EdDSA");

void check_scram_proof(benchmark::State& state) {
    const auto verifier = make_scram_verifier("pencil", "0123456789abcdef", 4'096);
    const std::string last = "c=biws,r=abcXYZ,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    for ([[maybe_unused]] auto _ : state) {
        ScramServer server;
        MITU_CHECK(server.on_client_first("n,,n=user,r=abc").has_value());
        benchmark::DoNotOptimize(server.challenge(verifier, "XYZ", SecretKey{}));
        MITU_CHECK(!server.on_client_final(last));
    }
}
BENCHMARK(check_scram_proof);

void make_scram_verifier_of_4096_rounds(benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(make_scram_verifier("pencil", "0123456789abcdef", 4'096));
    }
}
BENCHMARK(make_scram_verifier_of_4096_rounds);

}  // namespace
}  // namespace mitu::identity
