// The columns of a batch, sorted by their rules.

#ifndef MODLAB_LIB_MODELS_RULE_ORDER_H_
#define MODLAB_LIB_MODELS_RULE_ORDER_H_

#include <ATen/ATen.h>

#include <cstdint>

namespace modlab {

// Of J jobs, R rules, T columns. Immutable, so thread-safe.
class RuleOrder {
 public:
  // `rule` is one-hot, [J, R, T], float or double, on the CPU.
  explicit RuleOrder(const at::Tensor& rule);

  // [J, R + 1], int64: the columns of rule r are [columns[r], columns[r + 1]) once sorted.
  const at::Tensor& columns() const { return columns_; }

  // [J, T], int64: the column at each place.
  const at::Tensor& order() const { return order_; }

  // For features [J, C, T]: as they stand in the batch -> sorted, and back. Both can be
  // differentiated.
  at::Tensor Sort(const at::Tensor& features) const { return Pick(features, order_); }
  at::Tensor Restore(const at::Tensor& features) const { return Pick(features, place_); }

 private:
  static at::Tensor Pick(const at::Tensor& features, const at::Tensor& index) {
    return features.gather(2, index.unsqueeze(1).expand(features.sizes()));
  }

  at::Tensor columns_;
  at::Tensor order_;
  at::Tensor place_;  // [J, T] the place of each column
};

}  // namespace modlab

#endif  // MODLAB_LIB_MODELS_RULE_ORDER_H_
