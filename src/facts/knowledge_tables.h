// SPDX-License-Identifier: Apache-2.0
// The tables of the knowledge base by subject. For knowledge_base.cc alone.
#pragma once

#include <vector>

#include "src/facts/knowledge_base.h"

namespace imgslim {

const std::vector<KnowledgeRow>& rows_of_dlopen_system();
const std::vector<KnowledgeRow>& rows_of_dlopen_security();
const std::vector<KnowledgeRow>& rows_of_dlopen_graphics();
const std::vector<KnowledgeRow>& rows_of_dlopen_languages();
const std::vector<KnowledgeRow>& rows_of_dlopen_programs();
const std::vector<KnowledgeRow>& rows_of_dlopen_go();
const std::vector<KnowledgeRow>& rows_of_exec_services();
const std::vector<KnowledgeRow>& rows_of_exec_containers();
const std::vector<KnowledgeRow>& rows_of_exec_go();
const std::vector<KnowledgeRow>& rows_of_exec_programs();
const std::vector<KnowledgeRow>& rows_of_exec_libraries();

}  // namespace imgslim
