//! Messages on their way out, with their labels, and the stories they tell as far as their viewer may know.

use std::collections::HashMap;

use telesift_ports::story_catalog::{MemberPosition, StoryMember};
use telesift_schemas::{Generation, Message, MessageKey};
use telesift_windows::spread::{Spread, Tellings};

use crate::{
    auth::Viewer, cursor::Page, knowledge, labels, problem::Result, reactions, state::App,
    view::MessageView,
};

/// Messages of a story read at once.
const MEMBERS: usize = 1_000;

impl App {
    fn live_stories(&self) -> Generation {
        self.generations.live().stories
    }

    /// Messages as `viewer` sees them: one question to the catalog for all stories, one for all labels.
    pub(crate) async fn show(
        &self,
        viewer: &Viewer,
        messages: Vec<Message>,
    ) -> Result<Vec<MessageView>> {
        let keys: Vec<MessageKey> = messages.iter().map(|m| m.id).collect();
        let stories = self
            .catalog
            .stories_of(self.live_stories(), &keys, viewer.visible_chats())
            .await?;
        let stories: HashMap<_, _> = stories.into_iter().collect();
        let shown = messages.into_iter().map(|message| {
            let story = stories.get(&message.id).cloned();
            MessageView::new(message, story)
        });
        let mut shown: Vec<MessageView> = shown.collect();
        labels::put_on(self, shown.iter_mut()).await?;
        reactions::put_on(self, shown.iter_mut()).await?;
        knowledge::put_on(self, viewer, shown.iter_mut()).await?;
        Ok(shown)
    }

    pub(crate) async fn show_one(&self, viewer: &Viewer, message: Message) -> Result<MessageView> {
        let story = self
            .catalog
            .stories_of(self.live_stories(), &[message.id], viewer.visible_chats())
            .await?
            .pop();
        let mut shown = MessageView::new(message, story.map(|(_, story)| story));
        labels::put_on(self, std::iter::once(&mut shown)).await?;
        reactions::put_on(self, std::iter::once(&mut shown)).await?;
        knowledge::put_on(self, viewer, std::iter::once(&mut shown)).await?;
        Ok(shown)
    }

    pub(crate) async fn show_page(
        &self,
        viewer: &Viewer,
        page: Page<Message>,
    ) -> Result<Page<MessageView>> {
        Ok(Page {
            items: self.show(viewer, page.items).await?,
            next_cursor: page.next_cursor,
        })
    }

    /// The messages of a story that `viewer` may see, oldest first.
    pub(crate) async fn story_members(
        &self,
        viewer: &Viewer,
        story: &str,
        after: Option<&MemberPosition>,
        limit: usize,
    ) -> Result<Vec<StoryMember>> {
        let chats = viewer.visible_chats();
        let of = self.live_stories();
        let members = self.catalog.story_members(of, story, chats, after, limit);
        Ok(members.await?)
    }

    /// How a story spread over the chats `viewer` may see; `None` if nobody tells it there.
    pub(crate) async fn story_spread(
        &self,
        viewer: &Viewer,
        story: &str,
    ) -> Result<Option<Spread>> {
        let (mut tellings, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .story_members(viewer, story, after.as_ref(), MEMBERS)
                .await?;
            tellings.extend(page.iter().map(|m| (m.event_time, m.message.chat)));
            after = page.last().map(MemberPosition::from);
            if page.len() < MEMBERS {
                return Ok(Tellings::new(tellings).spread());
            }
        }
    }
}
