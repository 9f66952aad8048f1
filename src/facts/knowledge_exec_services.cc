// SPDX-License-Identifier: Apache-2.0
// Go packages of cloud services, clusters and telemetry that start programs.
#include "src/facts/knowledge_tables.h"

namespace imgslim {

namespace {

using Kind = KnowledgeKind;

const std::vector<KnowledgeRow> kRows = {
    {.kind = Kind::kGoPackage,
     .key = "cloud.google.com/go/auth/credentials/internal/externalaccount",
     .trigger =
         "a credentials file with an executable source, and GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
     .source = "cloud.google.com/go/auth@v0.24.3 "
               "credentials/internal/externalaccount/executable_provider.go:81,237"},
    {.kind = Kind::kGoPackage,
     .key = "golang.org/x/oauth2/google/externalaccount",
     .trigger =
         "a credentials file with an executable source, and GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
     .source = "golang.org/x/oauth2@v0.37.0 google/externalaccount/executablecredsource.go:111,300"},
    {.kind = Kind::kGoPackage,
     .key = "golang.org/x/oauth2/google/internal/externalaccount",
     .trigger =
         "a credentials file with an executable source, and GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
     .source =
         "golang.org/x/oauth2@v0.37.0 google/externalaccount/executablecredsource.go:111,300 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "cloud.google.com/go/auth/internal/transport/cert",
     .trigger = "cert_provider_command of ~/.secureConnect/context_aware_metadata.json",
     .missing_handled = true,
     .source = "cloud.google.com/go/auth@v0.24.3 internal/transport/cert/secureconnect_cert.go:61-80,110, "
               "default_cert.go: no file or a failing command is errSourceUnavailable, and there is no "
               "client certificate"},
    {.kind = Kind::kGoPackage,
     .key = "google.golang.org/api/internal/cert",
     .trigger = "cert_provider_command of ~/.secureConnect/context_aware_metadata.json",
     .source = "google.golang.org/api@v0.311.0 internal/cert/secureconnect_cert.go:100: no file means no "
               "such source; a command named there that is missing is an error"},
    {.kind = Kind::kGoPackage,
     .key = "google.golang.org/api/transport/cert",
     .trigger = "cert_provider_command of ~/.secureConnect/context_aware_metadata.json",
     .source = "google.golang.org/api@v0.311.0 internal/cert/secureconnect_cert.go:100 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/googleapis/enterprise-certificate-proxy/client",
     .trigger = "libs.ecp of the certificate configuration file",
     .source = "github.com/googleapis/enterprise-certificate-proxy@v0.3.25 client/client.go:167"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/aws/aws-sdk-go-v2/credentials/processcreds",
     .trigger = "credential_process of the AWS profile",
     .source = "github.com/aws/aws-sdk-go-v2/credentials@v1.20.16 processcreds/provider.go:106"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/aws/aws-sdk-go/aws/credentials/processcreds",
     .trigger = "credential_process of the AWS profile",
     .source = "github.com/aws/aws-sdk-go aws/credentials/processcreds/provider.go"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/Azure/azure-sdk-for-go/sdk/azidentity",
     .names = {"/bin/sh", "az", "azd", "pwsh"},
     .trigger = "AzureCLICredential and its like, the last of DefaultAzureCredential's chain",
     .missing_handled = true,
     .source = "github.com/Azure/azure-sdk-for-go/sdk/azidentity@v1.15.0 "
               "developer_credential_util_nonwindows.go:14, developer_credential_util.go shellExec, "
               "unavailableIfInDAC: without /bin/sh the chain goes to its next credential, this one alone is "
               "an authentication error"},
    {.kind = Kind::kGoPackage,
     .key = "k8s.io/client-go/plugin/pkg/client/auth/exec",
     .trigger = "exec plugin named in the kubeconfig",
     .source = "k8s.io/client-go@v0.37.2 plugin/pkg/client/auth/exec/exec.go:458"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/google/gnostic-models/compiler",
     .trigger = "extension handlers that the caller passes; clients of Kubernetes pass none",
     .missing_handled = true,
     .source = "github.com/google/gnostic-models@v0.7.1 compiler/extensions.go:69"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/google/gnostic/compiler",
     .trigger = "extension handlers that the caller passes; clients of Kubernetes pass none",
     .missing_handled = true,
     .source = "github.com/google/gnostic-models@v0.7.1 compiler/extensions.go:69 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/googleapis/gnostic/compiler",
     .trigger = "extension handlers that the caller passes; clients of Kubernetes pass none",
     .missing_handled = true,
     .source = "github.com/google/gnostic-models@v0.7.1 compiler/extensions.go:69 (older path)"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/DataDog/dd-trace-go/internal/...",
     .names = {"git", "sh", "getent", "ldconfig", "ldd", "/bin/hostname"},
     .trigger = "facts of host and CI for telemetry",
     .missing_handled = true,
     .source = "github.com/DataDog/dd-trace-go@v2.12.0 internal/hostname/fqdn_nix.go:23, providers.go:213, "
               "internal/appsec/telemetry.go:139-163, internal/civisibility/utils/git.go:118,201, "
               "home.go:95-120: looked up, or the error ends that one fact"},
    {.kind = Kind::kGoPackage,
     .key = "github.com/DataDog/dd-trace-go/contrib/os",
     .trigger = "traced os.StartProcess of the caller",
     .source = "github.com/DataDog/dd-trace-go@v2.12.0 contrib/os/os.go:90"},
    {.kind = Kind::kGoPackage,
     .key = "gopkg.in/DataDog/dd-trace-go.v1/internal/...",
     .names = {"git", "sh", "getent", "ldconfig", "ldd", "/bin/hostname"},
     .trigger = "facts of host and CI for telemetry",
     .missing_handled = true,
     .source = "github.com/DataDog/dd-trace-go@v2.12.0 internal (the same code under v1's path)"},
};

}  // namespace

const std::vector<KnowledgeRow>& rows_of_exec_services() {
  return kRows;
}

}  // namespace imgslim
