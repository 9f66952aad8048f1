// SPDX-License-Identifier: Apache-2.0
// What a current buildkitd wrote of one cold build (the Dockerfile of tests/integration/buildkit-cache.sh):
// the image with its inline cache, and its own separate cache (mode=min). The one converted is the other,
// byte for byte.
#include <doctest/doctest.h>

#include "tests/support/buildkit_cache.h"

using namespace imgslim;

namespace {

// clang-format off
constexpr const char* kImageManifest =
    R"~({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
 )~"
    R"~(   "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "sha256:020764601c4cb79820)~"
    R"~(3b32c2469281ee1b351a5c7e6b1597125b173ba0c1001b",
    "size": 4026
  },
  "layers": [
    {
      "me)~"
    R"~(diaType": "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:914e161bfdec711f476)~"
    R"~(bef64da9843a71ca53d5e78244905ee05f1527c76f5f7",
      "size": 1064321
    },
    {
      "mediaType")~"
    R"~(: "application/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:8a035825f43102653024adc1d4a)~"
    R"~(3f9fc811797ee81e10fe57d27c56866adfa9d",
      "size": 120
    },
    {
      "mediaType": "applicati)~"
    R"~(on/vnd.oci.image.layer.v1.tar+gzip",
      "digest": "sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb)~"
    R"~(5577484a6d75e68dc38e8acc1",
      "size": 32
    },
    {
      "mediaType": "application/vnd.oci.im)~"
    R"~(age.layer.v1.tar+gzip",
      "digest": "sha256:cc7adfe8de209b40362d26937dcad6a95b08c265d749feb0d9c6)~"
    R"~(8f40e302a753",
      "size": 65738
    },
    {
      "mediaType": "application/vnd.oci.image.layer.)~"
    R"~(v1.tar+gzip",
      "digest": "sha256:944d81c2c67322818fb702522647441c51a05447225950757596da36180f83)~"
    R"~(01",
      "size": 130
    },
    {
      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip")~"
    R"~(,
      "digest": "sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1",
      ")~"
    R"~(size": 32
    }
  ]
})~";

constexpr const char* kImageConfig =
    R"~({"architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sb)~"
    R"~(in:/bin"],"Cmd":["/bin/sh"],"WorkingDir":"/app","ArgsEscaped":true},"created":"2026-11-22T23:18:02.4)~"
    R"~(12727584Z","history":[{"created":"2026-11-22T23:18:02.126243178Z","created_by":"COPY busybox /bin/sh)~"
    R"~( # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2026-11-22T23:18:02.223260914Z","create)~"
    R"~(d_by":"RUN /bin/sh -c true # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2026-11-22T23)~"
    R"~(:18:02.30422324Z","created_by":"RUN /bin/sh -c true # buildkit","comment":"buildkit.dockerfile.v0"},)~"
    R"~({"created":"2026-11-22T23:18:02.310621545Z","created_by":"COPY /out /app/out # buildkit","comment":")~"
    R"~(buildkit.dockerfile.v0"},{"created":"2026-11-22T23:18:02.408049179Z","created_by":"RUN /bin/sh -c ec)~"
    R"~(ho less \u003e /app/out # buildkit","comment":"buildkit.dockerfile.v0"},{"created":"2026-11-22T23:18)~"
    R"~(:02.412727584Z","created_by":"WORKDIR /app","comment":"buildkit.dockerfile.v0"},{"created":"2026-11-)~"
    R"~(22T23:18:02.412727584Z","created_by":"CMD [\"/bin/sh\"]","comment":"buildkit.dockerfile.v0","empty_l)~"
    R"~(ayer":true}],"moby.buildkit.cache.v0":"W3sibGF5ZXJzIjpbeyJsYXllciI6NSwiY3JlYXRlZEF0IjoiMjAyNi0xMS0yM)~"
    R"~(lQyMzoxODowMi40MTI5OTA5OTVaIn1dLCJkaWdlc3QiOiJzaGEyNTY6ODA3YjNlODcyMmM2ODU3MjczNmY1NGQ4M2ZkNzQxYTViM)~"
    R"~(WQ2OWNjYmVmMjE4ZmFlNTJiNDE0OWE1NmQyMzJjZSIsImlucHV0cyI6W1t7ImxpbmsiOjF9XV19LHsibGF5ZXJzIjpbeyJsYXllc)~"
    R"~(iI6NCwiY3JlYXRlZEF0IjoiMjAyNi0xMS0yMlQyMzoxODowMi40MDgzMTEyNDdaIn1dLCJkaWdlc3QiOiJzaGEyNTY6ODk2ODYwN)~"
    R"~(GI3M2IyYTQ3NjM5ZWVhNTNmNmQxZTQxNjRkN2FlMzM3MjE5YTg3MjU2ZjBhZWZlNTNhMjQyNjQ5NCIsImlucHV0cyI6W1t7InNlb)~"
    R"~(GVjdG9yIjoic2hhMjU2OjhhNWVkYWIyODI2MzI0NDMyMTllMDUxZTRhZGUyZDFkNWJiYzY3MWM3ODEwNTFiZjE0Mzc4OTdjYmRmZ)~"
    R"~(WEwZjEiLCJsaW5rIjozfV1dfSx7ImRpZ2VzdCI6InNoYTI1Njo4Zjk2YTc4NjA3YmMzMjUwNjYxY2Q4MDIyZDEwM2VmNDJlYjViZ)~"
    R"~(DdmYTc0M2U5ZjA1ZjQ4YmI0YWIwNGJiNGUxIn0seyJsYXllcnMiOlt7ImxheWVyIjozLCJjcmVhdGVkQXQiOiIyMDI2LTExLTIyV)~"
    R"~(DIzOjE4OjAyLjMxMTM3MzczWiJ9XSwiZGlnZXN0Ijoic2hhMjU2OmJhZDU3MTJkMjAzNzQ0MWU0NTRlYzJkNzM3ZThiYWJlMzBiN)~"
    R"~(DZlMTI4NTQ3MzM0MjI2MDZlNWRiNGNjNDk4MmQiLCJpbnB1dHMiOltbeyJsaW5rIjo3fV0sW3sibGluayI6NX0seyJzZWxlY3Rvc)~"
    R"~(iI6InNoYTI1NjphNWJjZDkyZTVhYjNiMDcxZDk1ZjdjODQyNTYzYzgyZWU4OGNjZmRkYTQ1MzZhZTk0ZDZkYTRlNmQ0YmVjZTVkI)~"
    R"~(iwibGluayI6OH1dXX0seyJsYXllcnMiOlt7ImxheWVyIjowLCJjcmVhdGVkQXQiOiIyMDI2LTExLTIyVDIzOjE4OjAyLjEyNjQ3M)~"
    R"~(TQzNloifV0sImRpZ2VzdCI6InNoYTI1NjplMDI5MGIzNWIzZDZkNmQxM2RkNDE3MmI4NTgxNjZlYTBhNzBjZTE5YzQwNTlmNDRlN)~"
    R"~(mZhYmE5OGUyMmIzNGIzIiwiaW5wdXRzIjpbW3sibGluayI6Mn1dXX0seyJkaWdlc3QiOiJzaGEyNTY6ZTc3NjU1MjA5NjIxMTk4M)~"
    R"~(mNhNWI0OGFjMTNjNTI1M2FhMmUzZDdiOGI3OWE1MjI3NjFmMzIzMThiMzRlODRmMSJ9LHsibGF5ZXJzIjpbeyJsYXllciI6MSwiY)~"
    R"~(3JlYXRlZEF0IjoiMjAyNi0xMS0yMlQyMzoxODowMi4yMjM0NjI5NjNaIn1dLCJkaWdlc3QiOiJzaGEyNTY6ZWFmMzllNWJiOWE2O)~"
    R"~(DBiMzE2M2U5ZmEwZDc1ZmMyZTg4NDUxYmUwZmM5ZGU0OTg0MGRjYTg5YTliZWE5MmIxNCIsImlucHV0cyI6W1t7InNlbGVjdG9yI)~"
    R"~(joic2hhMjU2OjhhNWVkYWIyODI2MzI0NDMyMTllMDUxZTRhZGUyZDFkNWJiYzY3MWM3ODEwNTFiZjE0Mzc4OTdjYmRmZWEwZjEiL)~"
    R"~(CJsaW5rIjo0fV1dfSx7ImxheWVycyI6W3sibGF5ZXIiOjIsImNyZWF0ZWRBdCI6IjIwMjYtMTEtMjJUMjM6MTg6MDIuMzA0NDYzN)~"
    R"~(zI3WiJ9XSwiZGlnZXN0Ijoic2hhMjU2OmVhZjM5ZTViYjlhNjgwYjMxNjNlOWZhMGQ3NWZjMmU4ODQ1MWJlMGZjOWRlNDk4NDBkY)~"
    R"~(2E4OWE5YmVhOTJiMTQiLCJpbnB1dHMiOltbeyJzZWxlY3RvciI6InNoYTI1Njo4YTVlZGFiMjgyNjMyNDQzMjE5ZTA1MWU0YWRlM)~"
    R"~(mQxZDViYmM2NzFjNzgxMDUxYmYxNDM3ODk3Y2JkZmVhMGYxIiwibGluayI6Nn1dXX0seyJkaWdlc3QiOiJzaGEyNTY6ZWYxN2NjZ)~"
    R"~(mU1NmQ4MDg4OTNkOTcwOWI1NWY0NWNiMzhmMGRjNDQyYTYyNjM3NWM3MzE1ZTNhMGZlZThlMGQ1ZiIsImlucHV0cyI6W1t7InNlb)~"
    R"~(GVjdG9yIjoic2hhMjU2OjhhNWVkYWIyODI2MzI0NDMyMTllMDUxZTRhZGUyZDFkNWJiYzY3MWM3ODEwNTFiZjE0Mzc4OTdjYmRmZ)~"
    R"~(WEwZjEiLCJsaW5rIjo0fV1dfV0=","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:50cc934791a8)~"
    R"~(e7d2ad8cf23e321e77a546a59c5fbc8dfbc9790235a00789f8be","sha256:006b20b6f0801ffbc9626f138574c49b444b60)~"
    R"~(88e5311e6ea9d5752a834e40c0","sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef)~"
    R"~(","sha256:a0f91d917995601079a11760ec002b1cc342e8e7538308c4fd6c1fdf23c60942","sha256:c3dc757ae9795b9f)~"
    R"~(b19c7571648275c425646530fa7b3ef83e6a497ffd40835d","sha256:5f70bf18a086007016e948b04aed3b82103a36bea4)~"
    R"~(1755b6cddfaf10ace3c6ef"]}})~";

constexpr const char* kOwnManifest =
    R"~({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a)~"
    R"~(pplication/vnd.buildkit.cacheconfig.v0","digest":"sha256:4c0911a3f26893472999c09d8a491438b0dfdceb584)~"
    R"~(1dcafe0c6fd486ec95c7a","size":2367},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+g)~"
    R"~(zip","digest":"sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1","size":32,"a)~"
    R"~(nnotations":{"buildkit/createdat":"2026-11-22T23:18:02.412727584Z","containerd.io/uncompressed":"sha)~"
    R"~(256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"}},{"mediaType":"application/vn)~"
    R"~(d.oci.image.layer.v1.tar+gzip","digest":"sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e)~"
    R"~(68dc38e8acc1","size":32,"annotations":{"buildkit/createdat":"2026-11-22T23:18:02.412727584Z","contai)~"
    R"~(nerd.io/uncompressed":"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"}},{")~"
    R"~(mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:8a035825f43102653024adc1d4)~"
    R"~(a3f9fc811797ee81e10fe57d27c56866adfa9d","size":120,"annotations":{"buildkit/createdat":"2026-11-22T2)~"
    R"~(3:18:02.223260914Z","containerd.io/uncompressed":"sha256:006b20b6f0801ffbc9626f138574c49b444b6088e53)~"
    R"~(11e6ea9d5752a834e40c0"}},{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256)~"
    R"~(:914e161bfdec711f476bef64da9843a71ca53d5e78244905ee05f1527c76f5f7","size":1064321,"annotations":{"bu)~"
    R"~(ildkit/createdat":"2026-11-22T23:18:02.126243178Z","containerd.io/uncompressed":"sha256:50cc934791a8)~"
    R"~(e7d2ad8cf23e321e77a546a59c5fbc8dfbc9790235a00789f8be"}},{"mediaType":"application/vnd.oci.image.laye)~"
    R"~(r.v1.tar+gzip","digest":"sha256:944d81c2c67322818fb702522647441c51a05447225950757596da36180f8301","s)~"
    R"~(ize":130,"annotations":{"buildkit/createdat":"2026-11-22T23:18:02.408049179Z","containerd.io/uncompr)~"
    R"~(essed":"sha256:c3dc757ae9795b9fb19c7571648275c425646530fa7b3ef83e6a497ffd40835d"}},{"mediaType":"app)~"
    R"~(lication/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:cc7adfe8de209b40362d26937dcad6a95b08c265d)~"
    R"~(749feb0d9c68f40e302a753","size":65738,"annotations":{"buildkit/createdat":"2026-11-22T23:18:02.31062)~"
    R"~(1545Z","containerd.io/uncompressed":"sha256:a0f91d917995601079a11760ec002b1cc342e8e7538308c4fd6c1fdf)~"
    R"~(23c60942"}}]})~";

constexpr const char* kOwnConfig =
    R"~({"layers":[{"blob":"sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1","parent)~"
    R"~(":2},{"blob":"sha256:4f4fb700ef54461cfa02571ae0db9a0dc1e0cdb5577484a6d75e68dc38e8acc1","parent":4},{)~"
    R"~("blob":"sha256:8a035825f43102653024adc1d4a3f9fc811797ee81e10fe57d27c56866adfa9d","parent":3},{"blob")~"
    R"~(:"sha256:914e161bfdec711f476bef64da9843a71ca53d5e78244905ee05f1527c76f5f7","parent":-1},{"blob":"sha)~"
    R"~(256:944d81c2c67322818fb702522647441c51a05447225950757596da36180f8301","parent":5},{"blob":"sha256:cc)~"
    R"~(7adfe8de209b40362d26937dcad6a95b08c265d749feb0d9c68f40e302a753"}],"records":[{"layers":[{"layer":1,")~"
    R"~(createdAt":"2026-11-22T23:18:02.412990995Z"}],"digest":"sha256:807b3e8722c68572736f54d83fd741a5b1d69)~"
    R"~(ccbef218fae52b4149a56d232ce","inputs":[[{"link":1}]]},{"layers":[{"layer":4,"createdAt":"2026-11-22T)~"
    R"~(23:18:02.408311247Z"}],"digest":"sha256:8968604b73b2a47639eea53f6d1e4164d7ae337219a87256f0aefe53a242)~"
    R"~(6494","inputs":[[{"selector":"sha256:8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f)~"
    R"~(1","link":3}]]},{"digest":"sha256:8f96a78607bc3250661cd8022d103ef42eb5bd7fa743e9f05f48bb4ab04bb4e1"})~"
    R"~(,{"layers":[{"layer":5,"createdAt":"2026-11-22T23:18:02.31137373Z"}],"digest":"sha256:bad5712d203744)~"
    R"~(1e454ec2d737e8babe30b46e12854733422606e5db4cc4982d","inputs":[[{"link":7}],[{"link":5},{"selector":")~"
    R"~(sha256:a5bcd92e5ab3b071d95f7c842563c82ee88ccfdda4536ae94d6da4e6d4bece5d","link":8}]]},{"layers":[{"l)~"
    R"~(ayer":3,"createdAt":"2026-11-22T23:18:02.126471436Z"}],"digest":"sha256:e0290b35b3d6d6d13dd4172b8581)~"
    R"~(66ea0a70ce19c4059f44e6faba98e22b34b3","inputs":[[{"link":2}]]},{"digest":"sha256:e776552096211982ca5)~"
    R"~(b48ac13c5253aa2e3d7b8b79a522761f32318b34e84f1"},{"layers":[{"layer":2,"createdAt":"2026-11-22T23:18:)~"
    R"~(02.223462963Z"}],"digest":"sha256:eaf39e5bb9a680b3163e9fa0d75fc2e88451be0fc9de49840dca89a9bea92b14",)~"
    R"~("inputs":[[{"selector":"sha256:8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1","li)~"
    R"~(nk":4}]]},{"layers":[{"layer":0,"createdAt":"2026-11-22T23:18:02.304463727Z"}],"digest":"sha256:eaf3)~"
    R"~(9e5bb9a680b3163e9fa0d75fc2e88451be0fc9de49840dca89a9bea92b14","inputs":[[{"selector":"sha256:8a5edab)~"
    R"~(282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1","link":6}]]},{"digest":"sha256:ef17ccfe56)~"
    R"~(d808893d9709b55f45cb38f0dc442a626375c7315e3a0fee8e0d5f","inputs":[[{"selector":"sha256:8a5edab282632)~"
    R"~(443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1","link":4}]]}]})~";
// clang-format on

}  // namespace

TEST_CASE("buildkit cache oracle: an inline cache becomes what BuildKit itself writes") {
  const Manifest manifest = Manifest::parse(kImageManifest, media_type::kOciManifest, "image");
  const ImageConfig config = ImageConfig::parse(kImageConfig, manifest.layers.size(), "image, config");
  BuildkitCache cache{
      CacheForm::kInline, "image", describe(kImageManifest, media_type::kOciManifest), {}, {}, {}};
  cache.parts.push_back(read_inline_cache(manifest, config, "image").value());
  const MemorySource source;
  ExaminationOptions options;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& layer = manifest.layers[i].descriptor;
    options.known.emplace(layer.digest,
                          LayerFacts{layer.size, config.diff_ids[i], Compression::kGzip, &source});
  }
  const TestPublication result = publish_test_cache(source, cache, CacheForm::kManifest, options);
  CHECK(result.documents.config == kOwnConfig);
  CHECK(result.documents.manifest == kOwnManifest);
  CHECK(result.examination.problems.empty());
  CHECK(record_problems(cache).empty());
}

TEST_CASE("buildkit cache oracle: what BuildKit writes is its own normal form") {
  const CacheConfig config = parse_cache_config(kOwnConfig, "config");
  CHECK(dump_cache_config(config) == kOwnConfig);
  CHECK(dump_cache_config(make_normal({&config}, [](const Digest&) { return true; }).config) == kOwnConfig);
}
