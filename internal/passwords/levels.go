package passwords

import (
	"cmp"
	"maps"
	"slices"
)

// maxLevels bounds the families that refusals are levelled to. A deployment imports
// from a handful of them.
const maxLevels = 24

// levels returns the hashes that a refusal computes: the costliest of each family
// in use. The family of the current parameters comes first, because nearly all
// logins end there; the others follow by name. kinds are the kinds in the store
// (see KindStore.HashKinds); unreadable ones are skipped.
func (h *Hasher) levels(kinds []string) []Hash {
	costliest := map[string]Hash{}
	for _, encoded := range kinds {
		hash, err := Parse(encoded)
		if err != nil {
			continue
		}
		hash.keepCostliest(costliest)
	}
	delete(costliest, h.own.kind().family)
	others := slices.SortedFunc(maps.Values(costliest), func(a, b Hash) int {
		return cmp.Compare(a.kind().family, b.kind().family)
	})
	return append([]Hash{h.own}, others[:min(len(others), maxLevels-1)]...)
}

// keepCostliest puts each part of h into costliest by its family, unless an equal
// or costlier one is there.
func (h Hash) keepCostliest(costliest map[string]Hash) {
	for _, part := range h.parts() {
		k := part.kind()
		if known, ok := costliest[k.family]; !ok || known.kind().cost < k.cost {
			costliest[k.family] = part
		}
	}
}

// costIn returns the cost of verifying h within a family of hashes.
func (h Hash) costIn(family string) (cost uint64) {
	for _, part := range h.parts() {
		if k := part.kind(); k.family == family {
			cost += k.cost
		}
	}
	return cost
}

// judge runs the computations of one verification, holding a slot. At each level it
// checks the account's own hash if it is of that family, then spends the rest of
// the level's cost. It does so for each form of the password. Only an accepted
// match ends earlier. The error is from compute.
func (h *Hasher) judge(slot computer, encoded, password string, live bool, levels []Hash) (v Verdict, err error) {
	forms, notAPassword := formsOf(password)
	own, unreadable := Parse(encoded)
	if unreadable != nil {
		own = Hash{}
	}
	for _, part := range own.parts() {
		if !slices.ContainsFunc(levels, func(l Hash) bool { return l.kind().family == part.kind().family }) {
			levels = append(levels, part)
		}
	}
	for _, level := range levels {
		missing := level.kind()
		missing.cost -= min(missing.cost, own.costIn(missing.family))
		for n, form := range forms {
			if own.scheme != nil && own.kind().family == missing.family {
				r, err := h.compute(slot, own, own.kind(), h.question(own, encoded, form))
				if err != nil {
					return Verdict{}, err
				}
				if r.Matches && notAPassword == nil && !v.Match {
					v = Verdict{Match: true, Renew: n > 0 || !h.isOwn(own)}
				}
				if v.Match && live {
					return v, nil
				}
			}
			if missing.cost > 0 {
				spend := job{Password: []byte(form), Hash: []byte(level.blank()), Spend: missing.cost}
				if _, err := h.compute(slot, level, missing, spend); err != nil {
					return Verdict{}, err
				}
			}
		}
	}
	return v, nil
}
