#include "lib/models/rule_order.h"

#include <ATen/Dispatch.h>

#include <cstdint>

namespace modlab {

RuleOrder::RuleOrder(const at::Tensor& rule) {
  const int64_t jobs = rule.size(0), rules = rule.size(1), T = rule.size(2);
  columns_ = at::zeros({jobs, rules + 1}, at::kLong);
  order_ = at::empty({jobs, T + 1}, at::kLong).narrow(1, 0, T);  // one is written beyond
  place_ = at::empty({jobs, T}, at::kLong);
  const at::Tensor one_hot = rule.contiguous();
  AT_DISPATCH_FLOATING_TYPES(rule.scalar_type(), "RuleOrder", [&] {
    for (int64_t j = 0; j < jobs; ++j) {
      int64_t* const end = columns_.data_ptr<int64_t>() + j * (rules + 1);
      int64_t* const order = order_.data_ptr<int64_t>() + j * (T + 1);
      int64_t* const place = place_.data_ptr<int64_t>() + j * T;
      const scalar_t* row = one_hot.data_ptr<scalar_t>() + j * rules * T;
      int64_t count = 0;
      for (int64_t r = 0; r < rules; ++r, row += T) {
        for (int64_t t = 0; t < T; ++t) {
          order[count] = t;  // kept where it is of this rule
          count += row[t] != scalar_t{0} ? 1 : 0;
        }
        end[r + 1] = count;
      }
      for (int64_t i = 0; i < T; ++i) place[order[i]] = i;
    }
  });
}

}  // namespace modlab
