// SPDX-License-Identifier: Apache-2.0
// Go packages of container engines and their tools that start programs.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/docker-credential-helpers/client",
     .names = {"docker-credential-*"},
     .trigger = "credsStore, credHelpers of ~/.docker/config.json",
     .source = "github.com/docker/docker-credential-helpers@v0.9.12 client/command.go:34"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/docker-credential-helpers/pass",
     .names = {"pass"},
     .trigger = "the pass store chosen as credential helper",
     .source = "github.com/docker/docker-credential-helpers@v0.9.12 pass/pass.go:70"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/cli/cli/connhelper/commandconn",
     .names = {"ssh"},
     .trigger = "a ssh:// DOCKER_HOST or context",
     .source = "github.com/docker/cli@v29.9.3 cli/connhelper/commandconn/commandconn.go:49"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/cli/cli/config/credentials",
     .names = {"pass", "docker-credential-*"},
     .trigger = "docker login without a configured store",
     .missing_handled = true,
     .source = "github.com/docker/cli@v29.9.3 cli/config/credentials/default_store.go:25, "
               "default_store_linux.go:8: looked up, the file store otherwise"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/cli/cli-plugins/manager",
     .paths = {"/usr/libexec/docker/cli-plugins/*", "/usr/lib/docker/cli-plugins/*",
               "/usr/local/libexec/docker/cli-plugins/*", "/usr/local/lib/docker/cli-plugins/*"},
     .trigger = "a command of a plugin",
     .source = "github.com/docker/cli@v29.9.3 cli-plugins/manager/manager.go:58,213, manager_unix.go, "
               "candidate.go:18: whatever is in its folders"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/cli/cli/command/image/build/...",
     .names = {"git"},
     .trigger = "docker build of a git URL",
     .source = "github.com/docker/cli@v29.9.3 cli/command/image/build/context.go:196, "
               "internal/git/gitutils.go:86,210: looked up, an error of that build without"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/moby/go-archive/compression",
     .names = {"unpigz"},
     .trigger = "a gzip layer; unpigz is only faster",
     .missing_handled = true,
     .source =
         "github.com/moby/go-archive@v0.3.3 compression/compression.go:212: looked up, Go's own otherwise"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/moby/go-archive/compression",
     .names = {"xz"},
     .trigger = "a tar.xz archive",
     .source = "github.com/moby/go-archive@v0.3.3 compression/compression.go:195: an archive of that form is "
               "an error without"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/moby/go-archive/...",
     .names = {"unpigz"},
     .trigger = "a gzip layer; unpigz is only faster",
     .missing_handled = true,
     .source =
         "github.com/moby/go-archive@v0.3.3 compression/compression.go:212: looked up, Go's own otherwise"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/moby/go-archive/...",
     .names = {"xz"},
     .trigger = "a tar.xz archive",
     .source = "github.com/moby/go-archive@v0.3.3 compression/compression.go:195: an archive of that form is "
               "an error without"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/docker/pkg/archive",
     .names = {"unpigz"},
     .trigger = "a gzip layer; unpigz is only faster",
     .missing_handled = true,
     .source = "github.com/moby/go-archive@v0.3.3 compression/compression.go:212 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/docker/docker/pkg/archive",
     .names = {"xz"},
     .trigger = "a tar.xz archive",
     .source = "github.com/moby/go-archive@v0.3.3 compression/compression.go:195 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containers/storage/pkg/archive",
     .names = {"pigz", "unpigz", "zstd"},
     .trigger = "a compressed layer; they are only faster",
     .missing_handled = true,
     .source = "github.com/containers/storage pkg/archive/archive.go:208,232, filter.go tryProcFilter: "
               "looked up, Go's own otherwise"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/pkg/archive/compression",
     .names = {"igzip", "unpigz"},
     .trigger = "a gzip layer; they are only faster",
     .missing_handled = true,
     .source = "github.com/containerd/containerd/v2@v2.4.2 pkg/archive/compression/compression.go:271-340: "
               "looked up, Go's own otherwise"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/archive/compression",
     .names = {"igzip", "unpigz"},
     .trigger = "a gzip layer; they are only faster",
     .missing_handled = true,
     .source = "github.com/containerd/containerd/v2@v2.4.2 pkg/archive/compression/compression.go:271-340 "
               "(older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/core/mount/...",
     .names = {"mount.fuse3", "mount.fuse", "fusermount3", "fusermount", "/proc/self/exe"},
     .trigger = "mounts of a type with a helper",
     .source = "github.com/containerd/containerd/v2@v2.4.2 core/mount/mount_linux.go:570, fuse_linux.go:43, "
               "mount_idmapped_utils_linux.go:38"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/mount",
     .names = {"mount.fuse3", "mount.fuse", "fusermount3", "fusermount", "/proc/self/exe"},
     .trigger = "mounts of a type with a helper",
     .source = "github.com/containerd/containerd/v2@v2.4.2 core/mount/mount_linux.go:570 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/core/diff",
     .trigger = "stream processors of the configuration",
     .source = "github.com/containerd/containerd/v2@v2.4.2 core/diff/stream_unix.go:37"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/diff",
     .trigger = "stream processors of the configuration",
     .source = "github.com/containerd/containerd/v2@v2.4.2 core/diff/stream_unix.go:37 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/core/runtime/v2/...",
     .names = {"containerd-shim-runc-v2", "containerd-shim-runc-v1"},
     .trigger = "start of a container",
     .source =
         "github.com/containerd/containerd/v2@v2.4.2 core/runtime/v2/command.go:101, shim_manager.go:464"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/core/runtime",
     .names = {"containerd-shim-runc-v2", "containerd-shim-runc-v1"},
     .trigger = "start of a container",
     .source =
         "github.com/containerd/containerd/v2@v2.4.2 core/runtime/v2/command.go:101, shim_manager.go:464"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/runtime/...",
     .names = {"containerd-shim-runc-v2", "containerd-shim-runc-v1"},
     .trigger = "start of a container",
     .source = "github.com/containerd/containerd/v2@v2.4.2 core/runtime/v2/command.go:101 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/pkg/imageverifier/bindir",
     .paths = {"/opt/containerd/image-verifier/bin/*"},
     .trigger = "verifiers found in the configured folder",
     .source = "github.com/containerd/containerd/v2@v2.4.2 pkg/imageverifier/bindir/bindir.go:60,124: every "
               "program that is there; one less verifies less"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/plugins/snapshots/devmapper/...",
     .names = {"dmsetup", "blkdiscard", "mkfs.ext4", "mkfs.xfs"},
     .trigger = "the devmapper snapshotter configured",
     .source =
         "github.com/containerd/containerd/v2@v2.4.2 plugins/snapshots/devmapper/dmsetup/dmsetup.go:374, "
         "snapshotter.go:494, blkdiscard/blkdiscard.go:30"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/snapshots/devmapper/...",
     .names = {"dmsetup", "blkdiscard", "mkfs.ext4", "mkfs.xfs"},
     .trigger = "the devmapper snapshotter configured",
     .source = "github.com/containerd/containerd/v2@v2.4.2 "
               "plugins/snapshots/devmapper/dmsetup/dmsetup.go:374 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/internal/erofsutils",
     .names = {"mkfs.erofs"},
     .trigger = "the erofs snapshotter configured",
     .source = "github.com/containerd/containerd/v2@v2.4.2 internal/erofsutils/mount.go:69-214: without it "
               "an error of that snapshotter"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/containerd/pkg/sys",
     .names = {"/proc/self/exe"},
     .trigger = "user namespaces: itself",
     .missing_handled = true,
     .source = "github.com/containerd/containerd/v2@v2.4.2 pkg/sys/unshare_linux.go:177"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containerd/go-runc",
     .names = {"runc"},
     .trigger = "start of a container",
     .source = "github.com/containerd/go-runc@v1.2.1 command_linux.go:36"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/containernetworking/cni/pkg/invoke",
     .trigger = "CNI plugins named in the network configuration",
     .source = "github.com/containernetworking/cni@v1.3.1 pkg/invoke/raw_exec.go:40"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/hanwen/go-fuse/fuse",
     .names = {"fusermount3", "fusermount"},
     .trigger = "mounting a FUSE file system without CAP_SYS_ADMIN",
     .source = "github.com/hanwen/go-fuse/v2@v2.12.1 fuse/mount_linux.go:108-245"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_exec_containers() {
  return kRows;
}

}  // namespace imgslim
