package sqlite

import "github.com/keyturn/keyturn/internal/decision"

// scanHeld takes the columns version, unborn, slot_id and slot.
func scanHeld(r *row) decision.Held {
	return decision.Held{Version: r.integer(), Unborn: r.flag(), SlotID: r.text(), Slot: r.blob()}
}
