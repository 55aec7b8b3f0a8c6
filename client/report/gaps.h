// The last section of a report: what is missing behind its figures.
//
// Pure and thread-safe.

#ifndef MODLAB_CLIENT_REPORT_GAPS_H_
#define MODLAB_CLIENT_REPORT_GAPS_H_

#include <string>
#include <vector>

#include "client/report/publication.h"
#include "client/report/survey.h"
#include "modlab/v1/results.pb.h"

namespace modlab {

// `shown` are the other sections; `left_out` says, a sentence each, what has no
// figure and why.
ReportSection WhatIsMissing(const Survey& survey, const v1::RankModelsResponse& ranking,
                            const std::vector<ReportSection>& shown,
                            const std::vector<std::string>& left_out);

}  // namespace modlab

#endif  // MODLAB_CLIENT_REPORT_GAPS_H_
