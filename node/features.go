package node

import (
	"fmt"
	"slices"

	"millrace/net/wire"
	"millrace/node/catalog"
	"millrace/node/ordered"
)

// feature is something that a whole cluster has or has not, with the levels that this release knows (KIP-584). What
// finalizes a level is a command of the catalog.
type feature struct {
	name     string
	min, max int16
	// level is what the feature has as long as nobody has finalized another one.
	level int16
}

// features are those that mean something here.
var features = []feature{
	{"group.version", 0, 1, 1},       // consumer groups of KIP-848, which cannot be turned off
	{"transaction.version", 0, 0, 0}, // there are no transactions
}

// current is the level that is in force.
func (f feature) current(image *catalog.Image) int16 {
	if level, ok := image.Features.Get(ordered.String(f.name)); ok {
		return level
	}
	return f.level
}

func findFeature(name string) (feature, bool) {
	i := slices.IndexFunc(features, func(f feature) bool { return f.name == name })
	if i < 0 {
		return feature{}, false
	}
	return features[i], true
}

// Kinds of updates.
const (
	featureUpgrade         int8 = 1
	featureSafeDowngrade   int8 = 2
	featureUnsafeDowngrade int8 = 3
)

// checkFeature says why a feature cannot get a level, in Kafka's words; "" when it can.
func checkFeature(image *catalog.Image, node int32, name string, level int16, kind int8) string {
	fail := func(format string, args ...any) string {
		return fmt.Sprintf("Invalid update version %d for feature %s. %s", level, name, fmt.Sprintf(format, args...))
	}
	f, known := findFeature(name)
	switch {
	case kind < featureUpgrade || kind > featureUnsafeDowngrade:
		return fail("The controller does not support the given upgrade type.")
	case level < 0:
		return fail("A feature version cannot be less than 0.")
	case !known && level == 0:
		return fail("Feature %s not found.", name)
	case !known:
		return fail("Local controller %d does not support this feature.", node)
	case level < f.min || level > f.max:
		return fail("Local controller %d only supports versions %d-%d", node, f.min, f.max)
	case level < f.current(image) && kind == featureUpgrade:
		return fail("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case level < f.level:
		return fail("This feature cannot be turned off.")
	}
	return ""
}

// tellFeatures fills in what ApiVersions says of features. Before version 4 a feature whose lowest level is 0 cannot be
// told.
func tellFeatures(a *wire.ApiVersionsResponse, image *catalog.Image, version int16) {
	for _, f := range features {
		if f.min > 0 || version >= 4 {
			a.SupportedFeatures = append(a.SupportedFeatures, wire.ApiVersionsResponseSupportedFeatureKey{
				Name: f.name, MinVersion: f.min, MaxVersion: f.max,
			})
		}
		if level := f.current(image); level > 0 {
			a.FinalizedFeatures = append(a.FinalizedFeatures, wire.ApiVersionsResponseFinalizedFeatureKey{
				Name: f.name, MaxVersionLevel: level, MinVersionLevel: level,
			})
		}
	}
	a.FinalizedFeaturesEpoch = int64(image.Index)
}
