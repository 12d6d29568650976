-- A card that was activated has its batch's value in one entry, a redeemed voucher its own, archived or not; no such entry
-- belongs to nothing; and a purse says that a card is unused if, and only if, it is. Entries by primary key, and one scan
-- of the covering index. Internal.
CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW audit_card AS
SELECT 'card_value' AS what, card.account_id AS id, card_batch.value AS expected,
       COALESCE(entry.amount, archived.amount, 0) AS actual
  FROM card
  STRAIGHT_JOIN card_batch ON card_batch.id = card.batch_id
  LEFT JOIN entry ON entry.entry_key = card.activation_key AND entry.account_id = card.account_id
   AND entry.kind = 'card_value'
  LEFT JOIN entry_archive AS archived ON archived.entry_key = card.activation_key
   AND archived.account_id = card.account_id AND archived.kind = 'card_value'
 WHERE card.activation_key IS NOT NULL AND COALESCE(entry.amount, archived.amount, 0) <> card_batch.value
UNION ALL
SELECT 'voucher', voucher.account_id, voucher_batch.value, COALESCE(entry.amount, archived.amount, 0)
  FROM voucher
  STRAIGHT_JOIN voucher_batch ON voucher_batch.id = voucher.batch_id
  LEFT JOIN entry ON entry.entry_key = voucher.redeem_key AND entry.account_id = voucher.account_id
   AND entry.kind = 'voucher'
  LEFT JOIN entry_archive AS archived ON archived.entry_key = voucher.redeem_key
   AND archived.account_id = voucher.account_id AND archived.kind = 'voucher'
 WHERE voucher.redeem_key IS NOT NULL AND COALESCE(entry.amount, archived.amount, 0) <> voucher_batch.value
UNION ALL
SELECT entry.kind, entry.account_id, 0, entry.amount
  FROM entry FORCE INDEX (entry_account)
  LEFT JOIN card ON card.account_id = entry.account_id AND card.activation_key = entry.entry_key
   AND entry.kind = 'card_value'
  LEFT JOIN voucher ON voucher.redeem_key = entry.entry_key AND voucher.account_id = entry.account_id
   AND entry.kind = 'voucher'
 WHERE entry.kind IN ('card_value', 'voucher') AND card.account_id IS NULL AND voucher.batch_id IS NULL
UNION ALL
SELECT 'unused', purse.account_id, card.account_id IS NOT NULL AND card.first_used_at IS NULL, purse.unused
  FROM purse LEFT JOIN card ON card.account_id = purse.account_id
 WHERE purse.unused <> (card.account_id IS NOT NULL AND card.first_used_at IS NULL)
