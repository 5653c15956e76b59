//! What a tenant's callers and subscribers hear instead of our words.

use std::time::Duration;

use super::{
    ChangeError, Store, StoreError, audio,
    database::Columns as _,
    greeting::{RecordingError, Scratch, finished},
    mailbox_log,
};
use crate::domain::{
    id::{AudioKey, MailboxId},
    mailbox_log::{Change, Event, Origin},
    tenant_phrase::TenantPhrase,
    time::Timestamp,
};

/// Which phrase of which tenant is changed, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct PhraseChange<'a> {
    /// The SIP domain; empty for the default tenant.
    pub tenant: &'a str,
    /// Which.
    pub phrase: TenantPhrase,
    /// The administrator's mailbox, whose log tells of it, if it was one.
    pub administrator: Option<&'a MailboxId>,
    /// From where.
    pub by: &'a Origin,
}

impl Store {
    /// Makes the first `kept` of a recording a tenant's phrase. The old one goes when the new one is in place.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Unfit`] when nothing can be heard in it or it is distorted.
    pub async fn set_tenant_phrase(
        &self,
        change: PhraseChange<'_>,
        scratch: Scratch,
        kept: Duration,
        now: Timestamp,
    ) -> Result<(), RecordingError> {
        let wav = finished(scratch, kept).await?;
        Ok(self.set_tenant_phrase_wav(change, wav, now).await?)
    }

    /// Makes a WAV (mono, 16-bit, 8000 or 16,000 Hz) that was looked at before a tenant's phrase.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`].
    pub async fn set_tenant_phrase_wav(&self, change: PhraseChange<'_>, wav: Vec<u8>, now: Timestamp) -> Result<(), ChangeError> {
        let key = self.put_audio(wav).await?;
        self.change_phrase(change, Some(&key), now).await.map(drop)
    }

    /// Goes back to our own words; whether there was a phrase.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Store`].
    pub async fn remove_tenant_phrase(&self, change: PhraseChange<'_>, now: Timestamp) -> Result<bool, ChangeError> {
        self.change_phrase(change, None, now).await
    }

    /// A tenant's phrases.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`] when a row was not written by us.
    pub async fn tenant_phrases(&self, tenant: &str) -> Result<Vec<(TenantPhrase, AudioKey)>, StoreError> {
        // PostgreSQL would refuse to compare with what may have been dialled.
        if tenant.contains('\0') {
            return Ok(vec![]);
        }
        let rows = sqlx::query("SELECT phrase, audio FROM tenant_phrases WHERE tenant = $1 ORDER BY phrase")
            .bind(tenant)
            .fetch_all(self.0.database.reader())
            .await?;
        let read = |word: String| word.parse().map_err(|_| StoreError::Unreadable { what: "tenant_phrases.phrase" });
        rows.iter().map(|row| Ok((read(row.text("phrase")?)?, AudioKey::from_stored(row.text("audio")?)))).collect()
    }

    async fn change_phrase(&self, change: PhraseChange<'_>, new: Option<&AudioKey>, now: Timestamp) -> Result<bool, ChangeError> {
        let PhraseChange { tenant, phrase, administrator, by } = change;
        let mut transaction = self.0.database.begin().await?;
        let old = sqlx::query("DELETE FROM tenant_phrases WHERE tenant = $1 AND phrase = $2 RETURNING audio")
            .bind(tenant)
            .bind(phrase.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let old = old.first().map(|row| row.text("audio").map(AudioKey::from_stored)).transpose()?;
        if new.is_none() && old.is_none() {
            return Ok(false);
        }
        if let Some(new) = new {
            audio::claim(&mut transaction, new).await?;
            // Of two administrators who record it first at the same time, one does not.
            let replaced = sqlx::query(
                "INSERT INTO tenant_phrases (tenant, phrase, audio, changed_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(tenant)
            .bind(phrase.as_str())
            .bind(new.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
            if replaced.rows_affected() == 0 {
                return Err(ChangeError::Conflict);
            }
        }
        if let Some(old) = &old {
            audio::mark_removed(&mut transaction, old, now).await?;
        }
        if let Some(administrator) = administrator {
            let how = if new.is_some() { Change::Replaced } else { Change::Removed };
            mailbox_log::note(&mut transaction, administrator, &Event::PhraseChanged { phrase, how }, by, false, now).await?;
        }
        transaction.commit().await?;
        if let Some(old) = old {
            self.remove_marked_audio(&[old]).await;
        }
        Ok(true)
    }
}
