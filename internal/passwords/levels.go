package passwords

import (
	"cmp"
	"maps"
	"slices"
)

// maxLevels bounds the families that refusals are levelled to. A deployment
// imports from a handful of them.
const maxLevels = 16

// levels returns what a refusal costs: of each family of hashes that there are,
// the costliest. The family of the current parameters comes first, for that is
// where nearly all logins end; the others follow by name. kinds are those that
// the store knows, see KindStore.HashKinds; one that cannot be read is passed over.
func (h *Hasher) levels(kinds []string) []Hash {
	costliest := map[string]Hash{}
	for _, encoded := range kinds {
		hash, err := Parse(encoded)
		if err != nil {
			continue
		}
		k := hash.kind()
		if known, ok := costliest[k.family]; !ok || known.kind().cost < k.cost {
			costliest[k.family] = hash
		}
	}
	delete(costliest, h.own.kind().family)
	others := slices.SortedFunc(maps.Values(costliest), func(a, b Hash) int {
		return cmp.Compare(a.kind().family, b.kind().family)
	})
	return append([]Hash{h.own}, others[:min(len(others), maxLevels-1)]...)
}

// judge runs the computations of one verification, holding a slot: level by
// level, in each the account's own hash if it is of that family, and then what
// is missing to the level. Only a match that is let in ends earlier.
func (h *Hasher) judge(encoded, password string, live bool, levels []Hash) bool {
	normal, notAPassword := Normalize(password)
	own, err := Parse(encoded)
	if err != nil {
		own = Hash{}
	} else if !slices.ContainsFunc(levels, func(l Hash) bool { return l.kind().family == own.kind().family }) {
		levels = append(levels, own)
	}
	matched := false
	for _, level := range levels {
		missing := level.kind()
		if own.scheme != nil && own.kind().family == missing.family {
			cost := own.kind().cost
			h.compute(own, cost, func() { matched = own.matches(normal) && notAPassword == nil })
			if matched && live {
				return true
			}
			missing.cost -= min(missing.cost, cost)
		}
		if missing.cost > 0 {
			h.compute(level, missing.cost, func() { level.spend(missing.cost, normal) })
		}
	}
	return matched
}
