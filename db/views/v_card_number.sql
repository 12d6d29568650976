-- Whose a card's number is, by index; never the hash of its PIN.
CREATE OR REPLACE ALGORITHM = MERGE DEFINER = meterline_reader@localhost SQL SECURITY DEFINER VIEW v_card_number AS
SELECT credential_card.number, credential_card.account_id, account.name AS account_name
  FROM credential_card
  STRAIGHT_JOIN account ON account.id = credential_card.account_id
